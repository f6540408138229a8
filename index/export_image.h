// Exporting a volume: its data to a sink, holes as holes.
#pragma once

#include "index/image.h"
#include "index/volume.h"

namespace casdisk {

// Writes all of `volume` into `sink` and finishes it. On several threads where the sink allows.
Result<void> export_image(Volume& volume, ImageSink& sink, unsigned threads,
                          const ImageProgress& progress);

}  // namespace casdisk
