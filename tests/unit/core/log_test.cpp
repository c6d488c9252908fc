#include "core/log.h"

#include <workerman/core/worker.h>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/in_child.h"
#include "support/temporary_folder.h"

namespace detail = Workerman::detail;

namespace {

/// A folder of its own, and the options put back at the end.
struct LogFixture : testing::TemporaryFolder {
  LogFixture() {
    detail::logConfig() = {};
    detail::logConfig().daemonize = true;
    detail::logConfig().logFile = file;
  }
  ~LogFixture() { detail::logConfig() = {}; }

  std::string contents() const {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  const std::string file = path + "/workerman.log";
};

/// "2026-11-22 13:07:41 pid:12 text" -> "text", with the head checked.
std::string afterHead(const std::string& line) {
  const std::string pid = " pid:" + std::to_string(::getpid()) + " ";
  REQUIRE(line.size() >= 19 + pid.size());
  std::string shape = line.substr(0, 19);
  std::replace_if(
      shape.begin(), shape.end(), [](unsigned char c) { return std::isdigit(c); }, '0');
  CHECK(shape == "0000-00-00 00:00:00");
  CHECK(line.substr(19, pid.size()) == pid);
  return line.substr(19 + pid.size());
}

/// The texts of the log's lines.
std::vector<std::string> texts(const std::string& contents) {
  CHECK(contents.ends_with('\n'));
  std::vector<std::string> all;
  std::istringstream lines(contents);
  for (std::string line; std::getline(lines, line);) all.push_back(afterHead(line));
  return all;
}

/// What `write` prints to a descriptor.
template <class Write>
std::string printed(int fd, std::FILE* stream, Write write) {
  std::FILE* const into = std::tmpfile();
  std::fflush(stream);
  const int before = ::dup(fd);
  ::dup2(::fileno(into), fd);
  write();
  std::fflush(stream);
  ::dup2(before, fd);
  ::close(before);
  std::string text(static_cast<std::size_t>(::lseek(::fileno(into), 0, SEEK_END)), '\0');
  CHECK(::pread(::fileno(into), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  std::fclose(into);
  return text;
}

template <class Write>
std::string toStdout(Write write) {
  return printed(STDOUT_FILENO, stdout, write);
}

template <class Write>
std::string toStderr(Write write) {
  return printed(STDERR_FILENO, stderr, write);
}

}  // namespace

TEST_CASE_FIXTURE(LogFixture, "log: a line has the date, the pid and the trimmed text (Worker::log in PHP)") {
  detail::log(" \n\r\t hello\n\n");
  detail::log("");
  CHECK(texts(contents()) == std::vector<std::string>{"hello", ""});
}

TEST_CASE_FIXTURE(LogFixture,
                  "log: echoes too unless daemonized, and not to a terminal that is none in colour") {
  CHECK(toStdout([] { detail::log("quiet"); }).empty());
  detail::logConfig().daemonize = false;
  CHECK(toStdout([] { detail::log(" <g>text</g> ", true); }) == "text\n");
  CHECK(contents().find("<g>text</g>\n") != std::string::npos);
  CHECK(toStdout([] { detail::safeEcho("<n>as it is"); }) == "as it is");
}

TEST_CASE_FIXTURE(LogFixture, "log: embedded, it writes to stderr only and touches no file (api.md)") {
  detail::logConfig().embedded = true;
  detail::logConfig().daemonize = false;
  std::string out;
  CHECK(toStderr([&] { out = toStdout([] { detail::log("hello \n"); }); }) == "hello\n");
  CHECK(out.empty());
  CHECK(::access(file.c_str(), F_OK) != 0);
}

TEST_CASE_FIXTURE(LogFixture, "log: past its greatest size the file keeps the lines of its newer half") {
  detail::logConfig().maxSize = 2000;
  struct stat before {
  }, after{};
  detail::log("line 0");
  REQUIRE(::stat(file.c_str(), &before) == 0);
  for (int i = 1; i < 200; ++i) {
    detail::log("line " + std::to_string(i));
    CHECK(contents().size() <= 2000);
  }
  REQUIRE(::stat(file.c_str(), &after) == 0);
  // Differs from Workerman: the same file, so that other processes' lines are not lost.
  CHECK(before.st_ino == after.st_ino);
  CHECK(contents().size() > 500);
  const std::vector<std::string> left = texts(contents());
  int expected = 200 - static_cast<int>(left.size());
  for (const std::string& text : left) {
    CHECK(text == "line " + std::to_string(expected++));
  }
  CHECK(expected == 200);
}

TEST_CASE_FIXTURE(LogFixture, "log: 0 sets no limit, and one line may be longer than the limit") {
  detail::logConfig().maxSize = 0;
  detail::log(std::string(5000, 'x'));
  CHECK(contents().size() > 5000);
  detail::logConfig().maxSize = 100;
  detail::log(std::string(5000, 'y'));
  detail::log("z");
  CHECK(contents().ends_with("z\n"));
  CHECK(contents().size() <= 100);
}

TEST_CASE_FIXTURE(LogFixture, "log: lines of many writers stay whole") {
  detail::logConfig().maxSize = 4000;
  std::vector<std::thread> writers;
  for (char c : {'a', 'b', 'c', 'd'}) {
    writers.emplace_back([c] {
      for (int i = 0; i < 100; ++i) detail::log(std::string(50, c));
    });
  }
  for (std::thread& writer : writers) writer.join();
  for (const std::string& text : texts(contents())) {
    CHECK(text == std::string(50, text.empty() ? '?' : text[0]));
  }
}

TEST_CASE_FIXTURE(LogFixture, "log: a file that cannot be written is left out") {
  detail::logConfig().logFile = path + "/missing/workerman.log";
  detail::log("hello");
  CHECK(::access(file.c_str(), F_OK) != 0);
  CHECK(::access((path + "/missing").c_str(), F_OK) != 0);
}

TEST_CASE_FIXTURE(LogFixture, "log: the file is made with its directories, or what is in its way is named") {
  detail::logConfig().logFile = path + "/new/folder/workerman.log";
  CHECK(detail::prepareLogFile().empty());
  detail::log("hello");
  CHECK(std::filesystem::file_size(detail::logConfig().logFile) > 6);
  detail::logConfig().logFile = path + "/new/folder";
  CHECK(detail::prepareLogFile() == "cannot write the log file " + path + "/new/folder: Is a directory");
  detail::logConfig().logFile = path + "/new/folder/workerman.log/none";
  CHECK(detail::prepareLogFile().ends_with(": Not a directory"));
  std::filesystem::remove_all(path + "/new");
}

TEST_CASE_FIXTURE(LogFixture, "log: locks of others are not waited for, and only put off what shortens it") {
  detail::logConfig().maxSize = 2000;
  detail::log("line 0");
  const int other = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(::flock(other, LOCK_SH) == 0);
  for (int i = 1; i < 100; ++i) detail::log("line " + std::to_string(i));
  CHECK(contents().size() > 2000);
  CHECK(texts(contents()).size() == 100);
  ::close(other);
  detail::log("line 100");
  CHECK(contents().size() < 2000);
  CHECK(texts(contents()).back() == "line 100");
}

TEST_CASE_FIXTURE(LogFixture, "log: the file is 0640, and one far beyond the limit is shortened below it") {
  const mode_t before = ::umask(022);
  detail::log("first");
  ::umask(before);
  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  std::ofstream(file, std::ios::app) << std::string(300'000, 'x') << "\n";
  detail::logConfig().maxSize = 1000;
  detail::log("last");
  CHECK(texts(contents()) == std::vector<std::string>{"last"});
}

TEST_CASE_FIXTURE(LogFixture, "log: links and what belongs to others are neither followed nor written to") {
  const std::string precious = path + "/precious";
  std::ofstream(precious) << "precious\n";
  std::string why;
  SUBCASE("a symbolic link") {
    std::filesystem::create_symlink(precious, file);
    why = "it is a symbolic link";
  }
  SUBCASE("a symbolic link to nothing") {
    std::filesystem::create_symlink(path + "/new", file);
    why = "it is a symbolic link";
  }
  SUBCASE("another name of a file") {
    std::filesystem::create_hard_link(precious, file);
    why = "it has another name as well";
  }
  SUBCASE("a socket, or another thing that is no file") {
    std::filesystem::create_directory(file);
    why = "Is a directory";
  }
  SUBCASE("a file of somebody else") {
    if (::getuid() != 0) return;
    std::ofstream(file) << "";
    REQUIRE(::chown(file.c_str(), 65534, 65534) == 0);
    why = "it belongs to another user";
  }
  CHECK(detail::prepareLogFile() == "cannot write the log file " + file + ": " + why);
  detail::logConfig().maxSize = 1;
  detail::log("hello");
  CHECK(std::filesystem::file_size(precious) == 9);
  CHECK_FALSE(std::filesystem::exists(path + "/new"));
  if (std::filesystem::is_regular_file(file)) CHECK(contents().find("hello") == std::string::npos);
}

TEST_CASE_FIXTURE(LogFixture, "log: of a fifo that nobody reads no line is waited for") {
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  CHECK(detail::prepareLogFile().empty());
  const std::string line(3000, 'x');
  for (int i = 0; i < 100; ++i) detail::log(line);
  const int reader = ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  char piece[8192];
  CHECK(::read(reader, piece, sizeof piece) > 3000);
  ::close(reader);
}

TEST_CASE_FIXTURE(LogFixture, "log: needs no descriptor for a line, not even where its file was moved away") {
  CHECK(detail::prepareLogFile().empty());
  const int status = testing::inChild([&] {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_NOFILE, &none);
    if (::open("/dev/null", O_RDONLY) >= 0) return 1;
    detail::log("one");
    ::rename(file.c_str(), (path + "/moved").c_str());
    detail::log("two");
    return 0;
  });
  CHECK(status == 0);
  std::filesystem::rename(path + "/moved", file);
  CHECK(contents().find(" one\n") != std::string::npos);
  CHECK(contents().ends_with(" two\n"));
}

TEST_CASE_FIXTURE(LogFixture, "log: a line that a full disk has cut off does not take the next one with it") {
  CHECK(detail::prepareLogFile().empty());
  const int status = testing::inChild([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit little{50, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &little);
    detail::log(std::string(100, 'x'));
    little.rlim_cur = RLIM_INFINITY;
    ::setrlimit(RLIMIT_FSIZE, &little);
    detail::log("whole");
    return 0;
  });
  CHECK(status == 0);
  CHECK(contents().substr(50, 1) == "\n");
  CHECK(contents().ends_with(" whole\n"));
}

TEST_CASE_FIXTURE(LogFixture, "log: outputStream takes the terminal's place (Worker::$outputStream in PHP)") {
  std::ostringstream stream;
  Workerman::Worker::outputStream = &stream;
  detail::logConfig().daemonize = false;
  CHECK(toStdout([] { detail::log("<g>hello</g>", true); }).empty());
  Workerman::Worker::outputStream = nullptr;
  CHECK(stream.str() == "hello\n");
}

TEST_CASE_FIXTURE(LogFixture, "log: a file that was kept takes the lines once its name is out of reach") {
  CHECK(detail::prepareLogFile().empty());
  detail::keepLogFile();
  detail::log("by name");
  std::filesystem::create_directory(path + "/moved");
  std::filesystem::rename(file, path + "/moved/log");
  std::filesystem::create_directory(file);
  detail::log("kept");
  std::filesystem::remove(file);
  std::filesystem::rename(path + "/moved/log", file);
  std::filesystem::remove(path + "/moved");
  CHECK(texts(contents()) == std::vector<std::string>{"by name", "kept"});
}

TEST_CASE("log: decorations become escape sequences, or nothing (Worker::safeEcho in PHP)") {
  struct Case {
    const char* text;
    const char* coloured;
    const char* plain;
  };
  const Case cases[] = {
      {"plain < > text", "plain < > text", "plain < > text"},
      {"<n>up</n>", "\033[1A\n\033[Kup\033[0m", "up"},
      {"<w>a</w><g>b</g>", "\033[47;30ma\033[0m\033[32;40mb\033[0m", "ab"},
      {"<x><g</g", "<x><g</g", "<x><g</g"},
      {"", "", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(detail::decorate(c.text, true) == c.coloured);
    CHECK(detail::decorate(c.text, false) == c.plain);
  }
}
