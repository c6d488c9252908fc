#include "udp_listener.h"

#include <uv.h>

#include <cerrno>
#include <cstddef>
#include <new>
#include <utility>

#include "../../core/event_loop.h"
#include "../../core/worker.h"
#include "../datagram/udp_connection.h"

namespace Workerman::Connection::detail {

using Workerman::detail::PollHandle;

/// Shared with the connections, which may be kept longer than the worker listens.
struct UdpListener::Socket {
  FileDescriptor descriptor;
  RefusedDatagrams refused;
  /// Memory of a connection that nobody kept, for the next datagram's.
  void* spare = nullptr;

  explicit Socket(FileDescriptor socket) noexcept : descriptor(std::move(socket)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { ::operator delete(spare); }
};

namespace {

using ListenerSocket = UdpListener::Socket;

/// Gives each datagram an object of its own without asking the heap for each. (The same object again would
/// have the next peer answered through a weak_ptr to the former one's.)
template <class T>
struct SpareMemory {
  using value_type = T;
  std::shared_ptr<ListenerSocket> socket;

  explicit SpareMemory(std::shared_ptr<ListenerSocket> owner) noexcept : socket(std::move(owner)) {}
  template <class Other>
  SpareMemory(const SpareMemory<Other>& other) noexcept : socket(other.socket) {}

  T* allocate(std::size_t count) {
    static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    void* memory = count == 1 ? std::exchange(socket->spare, nullptr) : nullptr;
    return static_cast<T*>(memory != nullptr ? memory : ::operator new(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    void* const unused = count == 1 ? std::exchange(socket->spare, memory) : memory;
    ::operator delete(unused);
  }
  template <class Other>
  bool operator==(const SpareMemory<Other>& other) const noexcept {
    return socket == other.socket;
  }
};

/// What a datagram of a worker's socket is answered with.
class WorkerDatagram final : public UdpConnection {
 public:
  WorkerDatagram(std::shared_ptr<ListenerSocket> socket, const SocketAddress& peer, const LocalEnd& local,
                 const Protocol* spoken)
      : socket_(std::move(socket)), peer_(peer), local_(local) {
    protocol = ProtocolName(spoken);
  }

  /// Hands the datagram to the worker's callback. `self`: this.
  void serve(const UdpConnectionPtr& self, const WorkerMessageCallback& callback, std::string_view bytes) {
    const Delivery delivery{self, callback};
    delivery_ = &delivery;
    receive(bytes);
    delivery_ = nullptr;
  }

  int getSocket() const noexcept override { return isClosed_ ? -1 : socket_->descriptor.get(); }
  bool mayReceive() const noexcept override { return getSocket() >= 0; }

  void deliver(const Message& message) noexcept override {
    if (delivery_ == nullptr) return;
    ++statistics.total_request;
    try {
      delivery_->callback.callDatagram(delivery_->self, message);
    } catch (...) {
      handleException();
    }
  }

  SendResult transmit(std::string_view head, std::string_view body, std::string_view tail) override {
    const int fd = getSocket();
    if (fd >= 0)
      return sendDatagram(fd, &peer_, head, body, tail, local_) ? SendResult::sent() : sendFailed();
    ++statistics.send_fail;
    return SendResult::failed();
  }

 private:
  struct Delivery {
    const UdpConnectionPtr& self;
    const WorkerMessageCallback& callback;
  };

  SocketAddress remoteEnd() const override { return peer_; }
  SocketAddress localEnd() const override {
    const SocketAddress bound = localAddress(getSocket());
    return local_.isKnown() && bound.isIp() ? local_.address(bound.port()) : bound;
  }
  RefusedDatagrams& refused() noexcept override { return socket_->refused; }

  /// Differs from Workerman: PHP's close() closes the worker's own socket with it.
  void closeAfterSending() override { isClosed_ = true; }

  std::shared_ptr<ListenerSocket> socket_;
  SocketAddress peer_;
  LocalEnd local_;
  bool isClosed_ = false;
  const Delivery* delivery_ = nullptr;
};

}  // namespace

UdpListener::UdpListener(Worker& worker, EventLoop& loop, FileDescriptor socket, const Protocol* protocol)
    : worker_(worker),
      loop_(loop),
      socket_(std::make_shared<Socket>(std::move(socket))),
      protocol_(protocol),
      rest_(loop) {
  poll_.open(loop_, socket_->descriptor.get(), &UdpListener::onPoll, this);
}

UdpListener::~UdpListener() {
  if (isGone_ != nullptr) *isGone_ = true;
  poll_.close();
  socket_->descriptor.reset();
}

void UdpListener::resume() {
  isPaused_ = false;
  watch();
}

void UdpListener::pause() noexcept {
  isPaused_ = true;
  rest_.stop();
  poll_.unwatch();
}

void UdpListener::watch() noexcept {
  // What waits here is delivered by the loop, as everything is: a socket can nearly always be written.
  const int error = poll_.watch(PollHandle::Readable | (waiting_.empty() ? 0 : PollHandle::Writable));
  if (error != 0) restAWhile("watching", error);
}

void UdpListener::restAWhile(const char* what, int error) noexcept {
  poll_.unwatch();
  loop_.guarded([&] {
    rest_.start(
        worker_.getSocketName() + ": " + what, error, uv_now(loop_.uvLoop()),
        [](void* self) noexcept { static_cast<UdpListener*>(self)->watch(); }, this);
  });
}

int UdpListener::descriptor() const noexcept {
  return socket_->descriptor.get();
}

int UdpListener::port() const noexcept {
  return localAddress(descriptor()).port();
}

void UdpListener::onPoll(void* self, int) noexcept {
  auto& listener = *static_cast<UdpListener*>(self);
  const auto worker = listener.worker_.weak_from_this().lock();
  const Workerman::detail::DispatchScope scope(listener.loop_);
  bool isGone = false;
  listener.isGone_ = &isGone;
  listener.loop_.guarded([&] {
    if (listener.deliverWaiting(isGone)) listener.receiveAll(isGone);
  });
  if (!isGone) listener.isGone_ = nullptr;
}

bool UdpListener::deliverWaiting(const bool& isGone) {
  if (waiting_.empty()) return true;
  std::vector<Waiting> all = std::exchange(waiting_, {});
  for (auto next = all.begin(); next != all.end(); ++next) {
    deliver(next->peer, next->local, next->bytes);
    if (isGone) return false;
    if (isPaused_) {
      waiting_.assign(std::make_move_iterator(next + 1), std::make_move_iterator(all.end()));
      return false;
    }
  }
  watch();
  return true;
}

void UdpListener::receiveAll(const bool& isGone) {
  DatagramBatch batch;
  for (int taken = 0; taken < DatagramBatch::kRound; taken += DatagramBatch::kSlots) {
    const int got = batch.receive(socket_->descriptor.get());
    for (int i = 0; i < got; ++i) {
      deliver(batch.peer(i), batch.local(i), batch.bytes(i));
      // A callback may pause or close this listener.
      if (isGone) return;
      if (!isPaused_) continue;
      while (++i < got) waiting_.push_back({batch.peer(i), batch.local(i), std::string(batch.bytes(i))});
      return;
    }
    if (got < 0) restAWhile("receiving", errno);
    if (got < DatagramBatch::kSlots) return;
  }
}

void UdpListener::deliver(const SocketAddress& peer, const LocalEnd& local, std::string_view bytes) {
  const WorkerMessageCallback callback = worker_.onMessage;
  if (!callback) return;
  const auto connection = std::allocate_shared<WorkerDatagram>(SpareMemory<WorkerDatagram>(socket_), socket_,
                                                               peer, local, protocol_);
  connection->serve(connection, callback, bytes);
}

}  // namespace Workerman::Connection::detail
