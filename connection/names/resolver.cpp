#include "resolver.h"

#include <netdb.h>
#include <uv.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace Workerman::Connection::detail {

/// What one look-up has found.
struct LookUp {
  int status = 0;  // libuv's
  std::shared_ptr<addrinfo> found;
};

/// Shared by the loop's thread and the one that looks up: lives until both are done with it.
struct Resolution::Request {
  static void onWakeUp(uv_async_t* async) noexcept;
  /// In a thread of the pool.
  void deliver(const LookUp& answer) noexcept;
  bool isStillAwaited() noexcept;
  void closeWakeUp() noexcept;

  std::string host;
  std::uint16_t port = 0;

  // The loop's thread only.
  ResolveCallback callback;
  uv_async_t wakeUp{};
  /// Set while libuv holds `wakeUp`.
  std::shared_ptr<Request> self;

  std::mutex mutex;
  bool isAwaited = true;  // guarded; with it `wakeUp` is open
  LookUp answer;          // guarded
};

namespace {

std::vector<SocketAddress> collectAddresses(const addrinfo* found, std::uint16_t port) {
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET || entry->ai_family == AF_INET6) {
      addresses.emplace_back(entry->ai_addr, entry->ai_addrlen);
      addresses.back().setPort(port);
    }
  }
  return interleaveFamilies(addresses);
}

/// libuv's code for a failed look-up to the resolver's own words.
std::string describe(int status) {
  constexpr std::pair<int, int> kCodes[] = {
      {UV_EAI_AGAIN, EAI_AGAIN},       {UV_EAI_BADFLAGS, EAI_BADFLAGS}, {UV_EAI_FAIL, EAI_FAIL},
      {UV_EAI_FAMILY, EAI_FAMILY},     {UV_EAI_MEMORY, EAI_MEMORY},     {UV_EAI_NONAME, EAI_NONAME},
      {UV_EAI_OVERFLOW, EAI_OVERFLOW}, {UV_EAI_SERVICE, EAI_SERVICE},   {UV_EAI_SOCKTYPE, EAI_SOCKTYPE},
  };
  for (const auto& [uvCode, code] : kCodes) {
    if (status == uvCode) {
      return ::gai_strerror(code);
    }
  }
  return uv_strerror(status);
}

bool isSameAddress(const SocketAddress& left, const SocketAddress& right) noexcept {
  return left.length() == right.length() && std::memcmp(left.get(), right.get(), left.length()) == 0;
}

}  // namespace

/// Threads that look names up, made when there is work and gone when there is none. Whoever asks for a
/// name that is being looked up waits for the same answer, so that one slow name keeps one thread busy.
///
/// Why not libuv's own: they are four, and the host's as well; and libuv joins them when the process
/// exits, so that a look-up of a resolver that cannot be reached would hold up the exit, and a host's
/// uv_run(), for as long as it takes.
class LookUpThreads {
 public:
  using Work = std::shared_ptr<Resolution::Request>;

  /// Never destroyed: a thread may still be busy while the process exits.
  static LookUpThreads& get() {
    static auto* const instance = new LookUpThreads;
    return *instance;
  }

  void add(Work work) {
    const std::lock_guard lock(mutex_);
    const std::string& name = work->host;
    const auto [known, isNew] = asked_.try_emplace(name);
    known->second.push_back(work);
    if (!isNew) return;
    waiting_.push_back(name);
    if (count_ == kMost) return;
    try {
      start();
    } catch (const std::system_error&) {
      if (count_ != 0) return;  // The others will come to it.
      waiting_.pop_back();
      asked_.erase(known);
      throw;
    }
  }

 private:
  static constexpr int kMost = 16;

  /// Signals are for the threads that know what to do with them.
  void start() {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread([this] { run(); }).detach();
      ++count_;
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void run() noexcept {
    uv_loop_t loop;
    const int error = uv_loop_init(&loop);
    std::unique_lock lock(mutex_);
    while (!waiting_.empty()) {
      const std::string name = std::move(waiting_.front());
      waiting_.pop_front();
      LookUp answer{.status = error, .found = {}};
      if (isAwaited(name) && error == 0) {
        lock.unlock();
        answer = lookUp(loop, name);
        lock.lock();
      }
      // Those that have joined meanwhile included.
      const auto done = asked_.extract(name);
      lock.unlock();
      for (const Work& work : done.mapped()) work->deliver(answer);
      lock.lock();
    }
    --count_;
    lock.unlock();
    if (error == 0) uv_loop_close(&loop);
  }

  bool isAwaited(const std::string& name) {
    const auto& works = asked_.at(name);
    return std::any_of(works.begin(), works.end(), [](const Work& work) { return work->isStillAwaited(); });
  }

  static LookUp lookUp(uv_loop_t& loop, const std::string& name) noexcept {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    uv_getaddrinfo_t look{};
    // Without a callback it does its work here and now.
    const int status = uv_getaddrinfo(&loop, &look, nullptr, name.c_str(), nullptr, &hints);
    return {status, {status == 0 ? look.addrinfo : nullptr, &uv_freeaddrinfo}};
  }

  std::mutex mutex_;
  /// Who asks for each name, from add() until its answer is there.
  std::unordered_map<std::string, std::vector<Work>> asked_;
  std::deque<std::string> waiting_;
  int count_ = 0;
};

void Resolution::Request::deliver(const LookUp& found) noexcept {
  const std::lock_guard lock(mutex);
  answer = found;
  if (isAwaited) uv_async_send(&wakeUp);
}

bool Resolution::Request::isStillAwaited() noexcept {
  const std::lock_guard lock(mutex);
  return isAwaited;
}

void Resolution::Request::onWakeUp(uv_async_t* async) noexcept {
  // Keeps it alive to the end of this call; the callback may drop the owner's share.
  const std::shared_ptr<Request> request = static_cast<Request*>(async->data)->self;
  request->closeWakeUp();
  const ResolveCallback callback = std::exchange(request->callback, nullptr);
  std::vector<SocketAddress> addresses;
  std::string error;
  const auto& [status, found] = request->answer;
  if (status == 0) addresses = collectAddresses(found.get(), request->port);
  if (addresses.empty()) error = status == 0 ? ::gai_strerror(EAI_NONAME) : describe(status);
  callback(std::move(addresses), std::move(error));
}

void Resolution::Request::closeWakeUp() noexcept {
  {
    const std::lock_guard lock(mutex);
    isAwaited = false;
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&wakeUp),
           [](uv_handle_t* handle) { static_cast<Request*>(handle->data)->self.reset(); });
}

Resolution& Resolution::operator=(Resolution&& other) noexcept {
  if (this != &other) {
    cancel();
    request_ = std::move(other.request_);
  }
  return *this;
}

void Resolution::cancel() noexcept {
  const std::shared_ptr<Request> request = std::move(request_);
  if (request != nullptr && request->callback) {
    // Moved out first: what it captured may own this object.
    const ResolveCallback forgotten = std::exchange(request->callback, nullptr);
    // A thread that is at it already ends into nothing.
    request->closeWakeUp();
  }
}

bool Resolution::isPending() const noexcept {
  return request_ != nullptr && request_->callback != nullptr;
}

Resolution resolve(uv_loop_s* loop, const std::string& host, std::uint16_t port, ResolveCallback callback) {
  auto request = std::make_shared<Resolution::Request>();
  request->host = host;
  request->port = port;
  if (const int error = uv_async_init(loop, &request->wakeUp, &Resolution::Request::onWakeUp); error < 0) {
    throw std::runtime_error("cannot look up " + host + ": " + uv_strerror(error));
  }
  request->wakeUp.data = request.get();
  request->self = request;
  try {
    LookUpThreads::get().add(request);
  } catch (...) {
    request->closeWakeUp();
    throw;
  }
  request->callback = std::move(callback);
  Resolution resolution;
  resolution.request_ = std::move(request);
  return resolution;
}

std::vector<SocketAddress> interleaveFamilies(const std::vector<SocketAddress>& addresses) {
  std::vector<SocketAddress> sorted[2];
  for (const SocketAddress& address : addresses) {
    auto& family = sorted[address.family() == addresses.front().family() ? 0 : 1];
    if (std::none_of(family.begin(), family.end(),
                     [&](const SocketAddress& known) { return isSameAddress(known, address); })) {
      family.push_back(address);
    }
  }
  std::vector<SocketAddress> result;
  for (std::size_t i = 0; i < std::max(sorted[0].size(), sorted[1].size()); ++i) {
    for (const auto& family : sorted) {
      if (i < family.size()) {
        result.push_back(family[i]);
      }
    }
  }
  return result;
}

}  // namespace Workerman::Connection::detail
