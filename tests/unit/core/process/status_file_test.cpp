#include "core/process/status_file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace fs = std::filesystem;
using Workerman::detail::removeReport;
using Workerman::detail::ReportReader;
using Workerman::detail::StatusFile;

namespace {

constexpr const char* kBegin = "\n{\"a\":1}\n";
constexpr const char* kEnd = "\nend\n";

struct Folder : testing::TemporaryFolder {
  std::size_t files() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(path)) ++count;
    return count;
  }
  std::string contents() const { return ReportReader(file, ::geteuid()).read("", true); }
  const std::string file = path + "/app.status";
};

}  // namespace

TEST_CASE("status file: begun and added to by the master, read by the command once it is complete") {
  const Folder folder;
  ReportReader reader(folder.file, ::geteuid());
  CHECK(reader.read(kEnd, true).empty());
  CHECK(reader.problem().empty());
  StatusFile file;
  CHECK(file.add("nothing").empty());
  CHECK(file.begin(folder.file, kBegin).empty());
  CHECK(file.add("one\n").empty());
  CHECK(reader.read(kEnd, false).empty());
  CHECK(reader.read(kEnd, true) == std::string(kBegin) + "one\n");
  CHECK(file.add(kEnd).empty());
  CHECK(reader.read(kEnd, false) == std::string(kBegin) + "one\n" + kEnd);
  CHECK(reader.read(kEnd, true).empty());  // seen
  CHECK(file.begin(folder.file, kBegin).empty());
  CHECK(folder.contents() == kBegin);
  CHECK(folder.files() == 1);
}

TEST_CASE("status file: only its owner may read it, and write to it") {
  const Folder folder;
  const mode_t before = ::umask(0);
  StatusFile file;
  CHECK(file.begin(folder.file, kBegin).empty());
  ::umask(before);
  struct stat status {};
  REQUIRE(::stat(folder.file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("status file: what stands in its way is named and left") {
  const Folder folder;
  StatusFile file;
  SUBCASE("a directory") {
    fs::create_directory(folder.file);
    CHECK(file.begin(folder.file, kBegin) == "cannot write " + folder.file + ": Is a directory");
  }
  SUBCASE("no such folder") {
    CHECK(file.begin(folder.path + "/none/app.status", kBegin).starts_with("cannot make "));
  }
  SUBCASE("a symbolic link to a file of somebody else") {
    fs::create_symlink(folder.path + "/precious", folder.file);
    CHECK(file.begin(folder.file, kBegin).empty());
    CHECK_FALSE(fs::exists(folder.path + "/precious"));
  }
  CHECK(folder.files() <= 1);
}

TEST_CASE("status file: what is no report is neither replaced nor removed") {
  const Folder folder;
  SUBCASE("a file of somebody else") {
    std::ofstream(folder.file) << "precious";
  }
  SUBCASE("no file at all") {
    REQUIRE(::mkfifo(folder.file.c_str(), 0600) == 0);
  }
  const auto type = fs::status(folder.file).type();
  StatusFile file;
  CHECK(file.begin(folder.file, kBegin) == folder.file + " is no status file, and stays as it is");
  removeReport(folder.file);
  CHECK(fs::status(folder.file).type() == type);
  CHECK(folder.files() == 1);
}

TEST_CASE("status file: a report is removed, and where there is none nothing happens") {
  const Folder folder;
  StatusFile file;
  REQUIRE(file.begin(folder.file, kBegin).empty());
  removeReport(folder.file);
  CHECK(folder.files() == 0);
  removeReport(folder.file);
  CHECK(folder.files() == 0);
}

TEST_CASE("status file: a full disk is named, and what was there stays") {
  const Folder folder;
  StatusFile file;
  REQUIRE(file.begin(folder.file, kBegin).empty());
  const int status = testing::inChild([&] {
    // A file size limit stands in for the full disk.
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit little{20, 20};
    ::setrlimit(RLIMIT_FSIZE, &little);
    StatusFile other;
    const bool named = !other.begin(folder.file, "\n{ longer than twenty bytes").empty() &&
                       !file.add("longer than twenty bytes").empty() && file.add("short").empty();
    return named ? 0 : 1;
  });
  CHECK(status == 0);
  CHECK(folder.contents() == std::string(kBegin) + "short");
  CHECK(folder.files() == 1);
}

TEST_CASE("status file: one that another user has put there, or a link, or a huge one is not read") {
  const Folder folder;
  ReportReader reader(folder.file, ::geteuid());
  SUBCASE("of another user") {
    if (::getuid() != 0) return;
    std::ofstream(folder.file) << kBegin;
    REQUIRE(::chown(folder.file.c_str(), 65534, 65534) == 0);
    CHECK(reader.problem() == folder.file + " belongs to user nobody, not to root as the master does");
  }
  SUBCASE("a link") {
    std::ofstream(folder.path + "/text") << kBegin;
    fs::create_symlink(folder.path + "/text", folder.file);
    CHECK(reader.problem().starts_with("cannot read " + folder.file + ": "));
  }
  SUBCASE("a huge one") {
    std::ofstream(folder.file) << kBegin;
    fs::resize_file(folder.file, Workerman::detail::kMostReported + 1);
  }
  SUBCASE("a fifo") {
    REQUIRE(::mkfifo(folder.file.c_str(), 0600) == 0);
  }
  CHECK(reader.read("", true).empty());
}
