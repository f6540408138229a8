#include "nbd/image/stream_image.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "tests/support/test_store.h"

namespace casdisk {
namespace {

// A pipe into which `bytes` go piece by piece, as pipes do.
class FilledPipe {
 public:
  explicit FilledPipe(Bytes bytes) : bytes_(std::move(bytes)) {
    EXPECT_EQ(::pipe(ends_), 0);
    writer_ = std::thread([this] {
      for (size_t done = 0; done < bytes_.size();) {
        ssize_t count =
            ::write(ends_[1], bytes_.data() + done, std::min<size_t>(bytes_.size() - done, 50001));
        if (count <= 0) break;
        done += size_t(count);
      }
      ::close(ends_[1]);
    });
  }
  ~FilledPipe() {
    ::close(ends_[0]);
    writer_.join();
  }
  int read_end() const { return ends_[0]; }

 private:
  Bytes bytes_;
  int ends_[2];
  std::thread writer_;
};

bool go_on() { return false; }

TEST(StreamImage, SkipsPiecesOfZerosAndKnowsItsSizeAtTheEnd) {
  Bytes image(4 * kPieceBytes + 12345);
  image[5] = std::byte(1);
  image[3 * kPieceBytes] = std::byte(2);
  FilledPipe pipe(image);
  StreamImage stream(pipe.read_end(), "stdin", go_on);
  EXPECT_EQ(stream.size_bytes(), std::nullopt);

  EXPECT_EQ(must(stream.peek(10)), Bytes(image.begin(), image.begin() + 10));
  ImagePiece piece;
  ASSERT_TRUE(must(stream.next(piece)));
  EXPECT_EQ(piece.offset, 0u);
  EXPECT_EQ(piece.bytes, Bytes(image.begin(), image.begin() + kPieceBytes));
  ASSERT_TRUE(must(stream.next(piece)));
  EXPECT_EQ(piece.offset, 3 * kPieceBytes);
  EXPECT_EQ(piece.bytes.size(), kPieceBytes);
  EXPECT_FALSE(must(stream.next(piece)));
  EXPECT_EQ(must(stream.finish()), image.size());
}

TEST(StreamImage, PeeksAtLessWhenThereIsLess) {
  FilledPipe pipe(Bytes(3));
  StreamImage stream(pipe.read_end(), "stdin", go_on);
  EXPECT_EQ(must(stream.peek(4096)).size(), 3u);
  ImagePiece piece;
  EXPECT_FALSE(must(stream.next(piece)));
  EXPECT_EQ(must(stream.finish()), 3u);
}

TEST(StreamImage, StopsWhileItWaits) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  StreamImage stream(ends[0], "stdin", [] { return true; });
  ImagePiece piece;
  auto outcome = stream.next(piece);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().os_error, EINTR);
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace casdisk
