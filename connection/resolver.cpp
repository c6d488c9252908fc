#include "resolver.h"

#include <netdb.h>
#include <uv.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace Workerman::Connection::detail {

/// Lives until the look-up has ended, be its owner gone or not.
struct Resolution::Request {
  uv_getaddrinfo_t look{};
  ResolveCallback callback;
  std::uint16_t port = 0;
  /// Why libuv would not even begin; empty when it did.
  std::string refusal;
  /// Set while libuv holds the request.
  std::shared_ptr<Request> self;

  static void finished(uv_getaddrinfo_t* look, int status, addrinfo* found) noexcept;
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

void Resolution::Request::finished(uv_getaddrinfo_t* look, int status, addrinfo* found) noexcept {
  // Keeps it alive to the end of this call; the callback may drop the owner's share.
  const std::shared_ptr<Request> request = std::move(static_cast<Request*>(look->data)->self);
  const ResolveCallback callback = std::exchange(request->callback, nullptr);
  std::vector<SocketAddress> addresses;
  std::string error = std::move(request->refusal);
  if (status == 0 && callback && error.empty()) {
    addresses = collectAddresses(found, request->port);
  }
  uv_freeaddrinfo(found);
  if (!callback) {
    return;
  }
  if (addresses.empty() && error.empty()) {
    error = status == 0 ? ::gai_strerror(EAI_NONAME) : describe(status);
  }
  callback(std::move(addresses), std::move(error));
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
    // Fails when a thread is at it already; then it ends into nothing.
    uv_cancel(reinterpret_cast<uv_req_t*>(&request->look));
  }
}

bool Resolution::isPending() const noexcept {
  return request_ != nullptr && request_->callback != nullptr;
}

Resolution resolve(uv_loop_s* loop, const std::string& host, std::uint16_t port, ResolveCallback callback) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  auto request = std::make_shared<Resolution::Request>();
  request->callback = std::move(callback);
  request->port = port;
  request->look.data = request.get();
  const auto start = [&](const char* name) {
    return uv_getaddrinfo(loop, &request->look, Resolution::Request::finished, name, nullptr, &hints);
  };
  const int status = start(host.c_str());
  if (status != 0) {
    // libuv takes no such name at all. A literal takes its place to bring the error round, since
    // the callback never runs before this returns.
    request->refusal = describe(status);
    hints.ai_flags = AI_NUMERICHOST;
    if (start("0.0.0.0") != 0) {
      throw std::bad_alloc();
    }
  }
  request->self = request;
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
