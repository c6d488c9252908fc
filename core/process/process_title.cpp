#include "process_title.h"

#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace Workerman::detail {
namespace {

constexpr std::size_t kSize = 4096;

/// Lives as long as the process, as the kernel reads it; a forked child has it
/// at the same place.
char* titleMemory() noexcept {
  static void* const memory =
      ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

/// How the kernel sees our memory: fields of /proc/self/stat, numbered as in
/// proc(5).
bool readMemoryMap(prctl_mm_map& map) noexcept {
  std::array<char, 4096> text{};
  std::FILE* const file = std::fopen("/proc/self/stat", "re");
  if (!file) return false;
  const std::size_t size = std::fread(text.data(), 1, text.size() - 1, file);
  std::fclose(file);
  text[size] = '\0';
  // The second field is the program's name in brackets and may hold anything.
  const char* rest = std::strrchr(text.data(), ')');
  if (!rest) return false;
  std::array<std::uint64_t, 52> fields{};
  rest += 3;  // ") " and the third field, one letter.
  for (std::size_t i = 4; i < fields.size(); ++i) {
    char* end = nullptr;
    fields[i] = std::strtoull(rest, &end, 10);
    if (end == rest) return false;
    rest = end;
  }
  map.start_code = fields[26];
  map.end_code = fields[27];
  map.start_stack = fields[28];
  map.start_data = fields[45];
  map.end_data = fields[46];
  map.start_brk = fields[47];
  map.brk = reinterpret_cast<std::uintptr_t>(::sbrk(0));
  map.arg_start = fields[48];
  map.arg_end = fields[49];
  map.env_start = fields[50];
  map.env_end = fields[51];
  map.exe_fd = static_cast<std::uint32_t>(-1);
  return true;
}

bool showInstead(char* memory, std::size_t size) noexcept {
  prctl_mm_map map{};
  if (!readMemoryMap(map)) return false;
  map.arg_start = reinterpret_cast<std::uintptr_t>(memory);
  map.arg_end = map.arg_start + size;
  return ::prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) == 0;
}

}  // namespace

std::string masterTitle(std::string_view program) {
  return "WorkerMan: master process  start_file=" + std::string(program);
}

std::string workerTitle(std::string_view name, std::string_view socketName) {
  return "WorkerMan: worker process  " + std::string(name) + " " + std::string(socketName);
}

bool setProcessTitle(std::string_view title) noexcept {
  if (char* const memory = titleMemory()) {
    const std::size_t size = std::min(title.size(), kSize - 1);
    std::copy_n(title.data(), size, memory);
    memory[size] = '\0';
    if (showInstead(memory, size + 1)) return true;
  }
  std::array<char, 16> name{};
  std::copy_n(title.data(), std::min(title.size(), name.size() - 1), name.data());
  ::prctl(PR_SET_NAME, name.data());
  return false;
}

}  // namespace Workerman::detail
