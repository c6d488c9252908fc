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
#include <utility>

namespace Workerman::Connection::detail {

/// Shared by the loop's thread and the one that looks up: lives until both are done with it.
struct Resolution::Request {
  ~Request() { uv_freeaddrinfo(found); }

  static void onWakeUp(uv_async_t* async) noexcept;
  /// In a thread of the pool; `loop` is its own, null with the reason in `error`.
  void lookUp(uv_loop_t* loop, int error) noexcept;
  void closeWakeUp() noexcept;

  std::string host;
  std::uint16_t port = 0;

  // The loop's thread only.
  ResolveCallback callback;
  uv_async_t wakeUp{};
  /// Set while libuv holds `wakeUp`.
  std::shared_ptr<Request> self;

  std::mutex mutex;
  bool isAwaited = true;      // guarded; with it `wakeUp` is open
  int status = 0;             // guarded
  addrinfo* found = nullptr;  // guarded
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

/// Threads that look names up, made when there is work and gone when there is none.
///
/// Why not libuv's own: it joins them when the process exits, so that a look-up of a resolver that
/// cannot be reached would hold up the exit, and a host's uv_run(), for as long as it takes.
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
    waiting_.push_back(std::move(work));
    if (count_ == kMost) return;
    try {
      start();
    } catch (const std::system_error&) {
      if (count_ != 0) return;  // The others will come to it.
      waiting_.pop_back();
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
      const Work work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      work->lookUp(error == 0 ? &loop : nullptr, error);
      lock.lock();
    }
    --count_;
    lock.unlock();
    if (error == 0) uv_loop_close(&loop);
  }

  std::mutex mutex_;
  std::deque<Work> waiting_;
  int count_ = 0;
};

void Resolution::Request::lookUp(uv_loop_t* loop, int error) noexcept {
  {
    const std::lock_guard lock(mutex);
    if (!isAwaited) return;
  }
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  uv_getaddrinfo_t look{};
  // Without a callback it does its work here and now.
  if (error == 0) error = uv_getaddrinfo(loop, &look, nullptr, host.c_str(), nullptr, &hints);
  const std::lock_guard lock(mutex);
  status = error;
  found = error == 0 ? look.addrinfo : nullptr;
  if (isAwaited) uv_async_send(&wakeUp);
}

void Resolution::Request::onWakeUp(uv_async_t* async) noexcept {
  // Keeps it alive to the end of this call; the callback may drop the owner's share.
  const std::shared_ptr<Request> request = static_cast<Request*>(async->data)->self;
  request->closeWakeUp();
  const ResolveCallback callback = std::exchange(request->callback, nullptr);
  std::vector<SocketAddress> addresses;
  std::string error;
  if (request->status == 0) addresses = collectAddresses(request->found, request->port);
  if (addresses.empty()) {
    error = request->status == 0 ? ::gai_strerror(EAI_NONAME) : describe(request->status);
  }
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
