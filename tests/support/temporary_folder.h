#pragma once

#include <stdlib.h>

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

namespace testing {

/// A folder that goes with the test.
struct TemporaryFolder {
  TemporaryFolder() {
    char name[] = "/tmp/workerman-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

}  // namespace testing
