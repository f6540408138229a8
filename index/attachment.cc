#include "index/attachment.h"

#include <fmt/format.h>

#include <algorithm>

#include "index/image_tree.h"

namespace casdisk {

Result<Attachment> store_attachment(Store& store, ImageSource& source, const std::string& name,
                                    unsigned threads, const ImageProgress& progress) {
  TRY(check_name(name, "attachment"));
  auto image = put_image(store.chunks(), source, threads, progress);
  if (!image.ok()) {
    image.error().context = fmt::format("attachment {}: {}", name, image.error().context);
    return std::move(image.error());
  }
  TRY(store.chunks().sync());
  return Attachment{name, image.value().size_bytes, image.value().tree.root};
}

Result<std::shared_ptr<Volume>> open_attachment(Store& store, const VolumeName& checkpoint,
                                                const std::string& name) {
  TRY_ASSIGN(FoundCheckpoint found, find_checkpoint(store, checkpoint));
  const auto& attachments = found.record.attachments;
  auto attachment = std::find_if(attachments.begin(), attachments.end(),
                                 [&](const Attachment& each) { return each.name == name; });
  if (attachment != attachments.end()) {
    TRY_ASSIGN(auto volume, CheckpointView::of(store, fmt::format("{}:{}", checkpoint.text(), name),
                                               attachment->root, attachment->size_bytes));
    TRY_ASSIGN(FoundCheckpoint again, find_checkpoint(store, checkpoint));
    return again.id == found.id ? std::move(volume) : open_attachment(store, checkpoint, name);
  }
  std::string names;
  for (const Attachment& each : attachments) names += " " + each.name;
  return Error{Fault::kNotFound, 0,
               fmt::format("{} has no attachment {}; it has{}", checkpoint.text(), name,
                           names.empty() ? " none" : ":" + names)};
}

}  // namespace casdisk
