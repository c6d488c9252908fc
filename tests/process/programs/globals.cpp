// What streams_test.cpp runs: a program as the manual writes them, with a global worker and `<<` line by
// line.
//   globals COMMAND [inner=1]

#include <workerman/workerman.h>

#include <algorithm>
#include <iostream>
#include <string>

using Workerman::Timer;
using Workerman::Worker;

namespace {

Worker worker("text://127.0.0.1:0");

bool has(const std::string& word) {
  const auto arguments = Worker::getArgv();
  return std::find(arguments.begin(), arguments.end(), word) != arguments.end();
}

}  // namespace

int main() {
  worker.count = 4;
  worker.onWorkerStart = [](Worker* self) {
    for (int i = 0; i < 300; ++i) std::cout << "line " << self->id << " " << i << " of " << 300 << " ends\n";
    std::cout << "half of one";
    if (has("inner=1")) {
      Timer::delay(0, [] {
        Worker inner("text://127.0.0.1:0");
        inner.listen();
      });
    }
  };
  Worker::runAll();
}
