#include "fake_names.h"

#include <dlfcn.h>
#include <netdb.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace {

using RealFunction = int (*)(const char*, const char*, const addrinfo*, addrinfo**);

struct Answer {
  std::vector<std::string> ips;
  int error = 0;
  bool isStalled = false;
  int timesAsked = 0;
};

/// Asked by the library's threads.
struct Table {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, Answer> answers;
  int stalled = 0;

  static Table& get() {
    static auto* const table = new Table;
    return *table;
  }
  void set(const std::string& name, Answer answer) {
    const std::lock_guard lock(mutex);
    answers[name] = std::move(answer);
  }
};

int askSystem(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  static const auto real = reinterpret_cast<RealFunction>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(name, service, hints, found);
}

/// What is known about `name`, when it may be told.
std::optional<Answer> look(const std::string& name) {
  Table& table = Table::get();
  std::unique_lock lock(table.mutex);
  const auto known = table.answers.find(name);
  if (known == table.answers.end()) return {};
  ++known->second.timesAsked;
  if (known->second.isStalled) {
    ++table.stalled;
    table.changed.wait(lock, [&] { return !known->second.isStalled; });
    --table.stalled;
    table.changed.notify_all();
  }
  return known->second;
}

}  // namespace

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  const auto answer = name != nullptr ? look(name) : std::nullopt;
  if (!answer) return askSystem(name, service, hints, found);
  if (answer->error != 0) return answer->error;
  addrinfo wanted = hints != nullptr ? *hints : addrinfo{};
  wanted.ai_flags |= AI_NUMERICHOST;
  *found = nullptr;
  // freeaddrinfo() goes from entry to entry, whoever has linked them.
  for (const std::string& ip : answer->ips) {
    while (*found != nullptr) found = &(*found)->ai_next;
    if (const int error = askSystem(ip.c_str(), service, &wanted, found); error != 0) return error;
  }
  return 0;
}

namespace testing {

FakeNames::~FakeNames() {
  release();
  Table& table = Table::get();
  std::unique_lock lock(table.mutex);
  table.changed.wait(lock, [&] { return table.stalled == 0; });
  table.answers.clear();
}

void FakeNames::answer(const std::string& name, std::vector<std::string> ips) {
  Table::get().set(name, {.ips = std::move(ips)});
}

void FakeNames::fail(const std::string& name, int code) {
  Table::get().set(name, {.ips = {}, .error = code});
}

void FakeNames::stall(const std::string& name, std::vector<std::string> ips) {
  Table::get().set(name, {.ips = std::move(ips), .error = 0, .isStalled = true});
}

void FakeNames::release() {
  Table& table = Table::get();
  const std::lock_guard lock(table.mutex);
  for (auto& [name, answer] : table.answers) answer.isStalled = false;
  table.changed.notify_all();
}

int FakeNames::timesAsked(const std::string& name) const {
  Table& table = Table::get();
  const std::lock_guard lock(table.mutex);
  return table.answers.at(name).timesAsked;
}

int FakeNames::stalled() const {
  Table& table = Table::get();
  const std::lock_guard lock(table.mutex);
  return table.stalled;
}

}  // namespace testing
