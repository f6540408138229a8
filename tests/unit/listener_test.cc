#include "nbd/serve/listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/result_assertions.h"
#include "tests/support/temporary_directory.h"

namespace casdisk {
namespace {

// A client gets through to whoever accepts on the listener.
void expect_accepts(const Listener& listener) {
  auto client = listener.connect();
  ASSERT_OK(client);
  int server = ::accept(listener.descriptor(), nullptr, nullptr);
  EXPECT_GE(server, 0);
  ::close(server);
  ::close(client.value());
}

TEST(Listener, AUnixSocketComesAndGoesWithIt) {
  TemporaryDirectory directory;
  std::string path = directory / "s";
  {
    auto listener = Listener::on_unix_socket(path);
    ASSERT_OK(listener);
    EXPECT_EQ(listener.value().path(), path);
    EXPECT_FALSE(listener.value().is_open_to_others());
    expect_accepts(listener.value());
    EXPECT_FAULT(Listener::on_unix_socket(path), Fault::kBusy);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Listener, EverybodyOnlyWhereThatIsMeant) {
  TemporaryDirectory directory;
  const auto mode_of = [&](SocketFor whom) {
    auto listener = Listener::on_unix_socket(directory / "s", whom);
    EXPECT_OK(listener);
    struct stat status = {};
    EXPECT_EQ(::stat((directory / "s").c_str(), &status), 0);
    return status.st_mode & 07777;
  };
  const mode_t before = ::umask(077);
  EXPECT_EQ(mode_of(SocketFor::kEverybody), 0666u);
  EXPECT_EQ(mode_of(SocketFor::kUmask), 0700u);
  EXPECT_EQ(::umask(before), 077u) << "it is as it was";
}

TEST(Listener, ADeadServersSocketIsReplaced) {
  TemporaryDirectory directory;
  std::string path = directory / "s";
  {
    auto first = Listener::on_unix_socket(path);
    ASSERT_OK(first);
    // As kill -9 leaves it: the file without anybody behind it.
    ASSERT_EQ(::rename(path.c_str(), (path + ".kept").c_str()), 0);
  }
  ASSERT_EQ(::rename((path + ".kept").c_str(), path.c_str()), 0);
  auto second = Listener::on_unix_socket(path);
  ASSERT_OK(second);
  expect_accepts(second.value());
}

TEST(Listener, SomebodyElsesSocketAndFileAreLeftAlone) {
  TemporaryDirectory directory;
  std::string path = directory / "s";
  auto listener = Listener::on_unix_socket(path);
  ASSERT_OK(listener);
  // As if a program listened there that does not know our lock.
  ASSERT_EQ(::unlink((path + ".lock").c_str()), 0);
  EXPECT_FAULT(Listener::on_unix_socket(path), Fault::kBusy);

  std::string file = directory / "file";
  ::close(::open(file.c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_FAULT(Listener::on_unix_socket(file), Fault::kExists);
  EXPECT_TRUE(std::filesystem::is_regular_file(file));
  EXPECT_FALSE(std::filesystem::exists(file + ".lock"));
}

TEST(Listener, APathThatIsTooLongIsSaidToBe) {
  std::string longest = "/tmp/" + std::string(kMaxSocketPathBytes, 'x');
  EXPECT_FAULT(Listener::on_unix_socket(longest), Fault::kInvalid);
  EXPECT_FAULT(Listener::on_unix_socket("/nonexistent/s"), Fault::kNotFound);
}

TEST(Listener, TcpTakesAFreePortAndKnowsWhoCanReachIt) {
  auto local = Listener::on_tcp("127.0.0.1", 0);
  ASSERT_OK(local);
  EXPECT_NE(local.value().port(), 0);
  EXPECT_FALSE(local.value().is_open_to_others());
  expect_accepts(local.value());
  EXPECT_FAULT(Listener::on_tcp("127.0.0.1", local.value().port()), Fault::kBusy);

  auto open = Listener::on_tcp("0.0.0.0", 0);
  ASSERT_OK(open);
  EXPECT_TRUE(open.value().is_open_to_others());
  EXPECT_FAULT(Listener::on_tcp("localhost.example", 0), Fault::kInvalid);
}

}  // namespace
}  // namespace casdisk
