#include "core/process/process_title.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace detail = Workerman::detail;

namespace {

std::string contents(const char* file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("process title: the words are Workerman's") {
  CHECK(detail::masterTitle("/srv/app") == "WorkerMan: master process  start_file=/srv/app");
  CHECK(detail::workerTitle("Chat", "text://0.0.0.0:5678") ==
        "WorkerMan: worker process  Chat text://0.0.0.0:5678");
}

TEST_CASE(
    "process title: replaces the command line that others see, whatever its length, and no memory of ours") {
  const std::string comm = contents("/proc/self/comm");
  const pid_t pid = ::fork();
  if (pid == 0) {
    const std::string path = ::getenv("PATH") ? ::getenv("PATH") : "";
    for (const std::string& title :
         {std::string("WorkerMan: x"), std::string(3000, 'y'), std::string(9000, 'z')}) {
      if (!detail::setProcessTitle(title)) {
        // A kernel without it: the short name is all there is.
        ::_exit(contents("/proc/self/comm") == title.substr(0, 15) + "\n" ? 0 : 1);
      }
      if (contents("/proc/self/cmdline") != title.substr(0, 4095) + '\0') ::_exit(2);
    }
    if (contents("/proc/self/comm") != comm) ::_exit(3);
    if (path != (::getenv("PATH") ? ::getenv("PATH") : "")) ::_exit(4);
    // The heap still grows and a child inherits the title.
    std::vector<std::unique_ptr<char[]>> memory;
    for (int i = 0; i < 1000; ++i) memory.push_back(std::make_unique<char[]>(1000));
    if (::fork() == 0) ::_exit(contents("/proc/self/cmdline") == std::string(4095, 'z') + '\0' ? 0 : 5);
    int status = -1;
    ::wait(&status);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 6);
  }
  int status = -1;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
