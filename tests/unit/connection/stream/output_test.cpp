#include "connection/stream/output.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/memory_transport.h"

using namespace Workerman::Connection::detail;
using testing::MemoryTransport;
using testing::Wire;
using Workerman::detail::Descriptor;

namespace {

/// Pieces that come one after the other; nothing where a piece is empty.
std::unique_ptr<OutputSource> pieces(std::vector<std::string> all) {
  auto next = std::make_shared<std::size_t>(0);
  return std::make_unique<ProducedSource>([all = std::move(all), next]() -> std::optional<std::string_view> {
    if (*next == all.size()) return std::nullopt;
    return all[(*next)++];
  });
}

/// A file that is gone as soon as it is closed.
Descriptor fileOf(const std::string& content) {
  char name[] = "/tmp/workerman_output_XXXXXX";
  Descriptor file(::mkstemp(name));
  REQUIRE(file.get() >= 0);
  ::unlink(name);
  REQUIRE(::write(file.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  return file;
}

struct Scene {
  std::shared_ptr<Wire> wire = std::make_shared<Wire>();
  MemoryTransport transport{wire};
  Output output;

  Output::Moved move() { return output.move(transport); }
};

}  // namespace

TEST_CASE("output: bytes and sources leave in the order they were sent in, whatever room there is") {
  const std::string file(3000, 'f');
  const std::string wanted = "before" + file.substr(100, 2000) + "between" + "onetwothree" + "behind";
  for (std::size_t room = 1; room < 64; ++room) {
    CAPTURE(room);
    Scene scene;
    CHECK(scene.output.isIdle());
    scene.output.append("before");
    scene.output.append(std::make_unique<FileSource>(fileOf(file), 100, 2000));
    scene.output.append("between");
    scene.output.append(pieces({"one", "two", "three"}));
    scene.output.append("behind");
    CHECK_FALSE(scene.output.isIdle());
    CHECK(scene.output.size() == std::string("before"
                                             "between"
                                             "behind")
                                     .size());
    std::size_t moved = 0;
    while (scene.output.isQueued()) {
      REQUIRE(scene.output.wantsRoom());
      scene.wire->room = room;
      const auto step = scene.move();
      REQUIRE(step.error == 0);
      moved += step.size;
    }
    CHECK(scene.wire->out == wanted);
    CHECK(moved == wanted.size());
    CHECK(scene.output.isIdle());
    CHECK(scene.output.size() == 0);
  }
}

TEST_CASE("output: a source that has nothing to give is not asked again until it is woken") {
  Scene scene;
  scene.output.append(pieces({"one", "", "two"}));
  scene.output.append("behind");
  CHECK(scene.move().size == 3);
  CHECK(scene.output.isQueued());
  CHECK_FALSE(scene.output.wantsRoom());
  CHECK(scene.move().size == 0);
  scene.output.wakeSource();
  CHECK(scene.output.wantsRoom());
  CHECK(scene.move().size == 9);
  CHECK(scene.wire->out == "onetwobehind");
  CHECK(scene.output.isIdle());
}

TEST_CASE("output: a source that cannot keep what it promised is a failure") {
  SUBCASE("its function throws") {
    Scene scene;
    scene.output.append(std::make_unique<ProducedSource>(
        []() -> std::optional<std::string_view> { throw std::runtime_error("no more"); }));
    CHECK(scene.move().error != 0);
  }
  SUBCASE("the file is shorter") {
    Scene scene;
    scene.output.append(std::make_unique<FileSource>(fileOf("short"), 0, 100));
    Output::Moved moved;
    do moved = scene.move();
    while (moved.error == 0 && scene.output.isQueued());
    CHECK(moved.error == ENODATA);
    CHECK(scene.wire->out == "short");
  }
}

TEST_CASE("output: an empty file and an empty source are done at once") {
  Scene scene;
  scene.output.append(std::make_unique<FileSource>(fileOf(""), 0, 0));
  scene.output.append(pieces({}));
  scene.output.append("behind");
  CHECK(scene.move().error == 0);
  CHECK(scene.wire->out == "behind");
  CHECK(scene.output.isIdle());
}

TEST_CASE("output: each operation of the transport may fail") {
  for (unsigned at = 1; at <= 3; ++at) {
    CAPTURE(at);
    Scene scene;
    scene.wire->failAt = at;
    scene.wire->error = EPIPE;
    scene.output.append("one");
    scene.output.append(pieces({"two"}));
    scene.output.append("three");
    CHECK(scene.move().error == EPIPE);
    CHECK(scene.wire->hasFailed);
  }
}

TEST_CASE("output: held bytes wait, and go with what is put to them") {
  Scene scene;
  scene.output.hold();
  CHECK_FALSE(scene.output.isIdle());
  CHECK_FALSE(scene.output.isQueued());
  scene.output.append("answer");
  scene.output.append(" and good-bye");
  CHECK(scene.move().error == 0);
  CHECK(scene.wire->operations == 1);
  CHECK(scene.wire->out == "answer and good-bye");
}

TEST_CASE("output: that all is gone is news once, and only if something of the application's had to wait") {
  Scene scene;
  scene.output.setBlocked(true);  // an alert
  scene.output.setBlocked(false);
  CHECK_FALSE(scene.output.takeDrained());
  scene.output.append("bytes");
  CHECK(scene.move().error == 0);
  CHECK(scene.output.takeDrained());
  CHECK_FALSE(scene.output.takeDrained());
  scene.output.tookBytes(false);
  CHECK_FALSE(scene.output.takeDrained());
  scene.output.tookBytes(true);
  scene.output.setBlocked(false);
  CHECK(scene.output.takeDrained());
  scene.output.append(pieces({"one"}));
  CHECK(scene.move().error == 0);
  CHECK(scene.output.takeDrained());
}

TEST_CASE("output: for another socket bytes stay or go") {
  Scene scene;
  scene.output.append("bytes");
  scene.output.append(pieces({"more"}));
  scene.output.hold();
  scene.output.owesEnd();
  scene.output.renew(true);
  CHECK(scene.output.isQueued());
  CHECK_FALSE(scene.output.isHeld());
  scene.output.renew(false);
  CHECK(scene.output.isIdle());
  CHECK_FALSE(scene.output.isEndOwed());
}
