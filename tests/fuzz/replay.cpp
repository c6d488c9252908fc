// Stands in for libFuzzer in an ordinary build: runs the target over each seed
// file (arguments: files or folders), and over each seed cut at every length.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

std::size_t replay(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  // Of a long seed only the first and the last few cuts: all would take quadratic time.
  constexpr std::size_t first = 1024;
  constexpr std::size_t last = 8;
  for (std::size_t length = 0; length <= bytes.size(); ++length) {
    if (length > first && length + last < bytes.size()) continue;
    // A copy of exactly this length, so that ASan sees a read past the end.
    const std::vector<std::uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    LLVMFuzzerTestOneInput(cut.data(), cut.size());
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t seeds = 0;
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path path = argv[i];
    if (!std::filesystem::is_directory(path)) {
      seeds += replay(path);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(path)) seeds += replay(entry.path());
  }
  std::cout << seeds << " seeds replayed\n";
  return seeds > 0 ? 0 : 1;
}
