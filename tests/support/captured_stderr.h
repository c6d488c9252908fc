#pragma once

/// What is written to stderr while this lives.

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include <doctest/doctest.h>

namespace testing {

class CapturedStderr {
 public:
  CapturedStderr() : file_(std::tmpfile()), before_(::dup(STDERR_FILENO)) {
    REQUIRE(file_ != nullptr);
    std::fflush(stderr);
    ::dup2(::fileno(file_), STDERR_FILENO);
  }
  CapturedStderr(const CapturedStderr&) = delete;
  CapturedStderr& operator=(const CapturedStderr&) = delete;
  ~CapturedStderr() {
    std::fflush(stderr);
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    std::fclose(file_);
  }

  /// All of it so far.
  std::string text() const {
    std::fflush(stderr);
    std::string all;
    char piece[4096];
    ssize_t got = 0;
    while ((got = ::pread(::fileno(file_), piece, sizeof piece, static_cast<off_t>(all.size()))) > 0) {
      all.append(piece, static_cast<std::size_t>(got));
    }
    return all;
  }

 private:
  std::FILE* file_;
  int before_;
};

}  // namespace testing
