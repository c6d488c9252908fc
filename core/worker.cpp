#include "worker.h"

#include <atomic>
#include <stdexcept>
#include <utility>

#include "exceptions.h"
#include "listener.h"
#include "log.h"
#include "runtime.h"

namespace Workerman {

using detail::Runtime;

constinit thread_local EventLoop* Worker::globalEvent = nullptr;

Worker::Worker(std::string socketName, SocketContext socketContext)
    : socketName_(std::move(socketName)), socketContext_(std::move(socketContext)) {
  Runtime::ofThisThread().add(*this);
}

Worker::~Worker() {
  auto& runtime = Runtime::ofThisThread();
  // Under runAll() another process has run it, or only a question was asked.
  if (runtime.phase() == Runtime::Phase::Idle && !socketName_.empty() && !hasRun_ && !Runtime::runsProgram) {
    log("a Worker for " + socketName_ + " is destroyed before it ran: it is forgotten");
  } else if (isLocal_ && listener_ && runtime.phase() == Runtime::Phase::Running) {
    log("a Worker that listens on " + socketName_ +
        " is destroyed, and with it what it listens with: one made in a callback needs "
        "std::make_shared<Worker>(…)");
  }
  stop(true);
  // One whose onClose is running would still look here.
  detail::disownConnections(*this);
  runtime.remove(*this);
}

// -- one worker -----------------------------------------------------------------

void Worker::start() {
  hasRun_ = isStarted_ = acceptsAfterStart_ = true;
  stopping = false;
  const auto pin = weak_from_this().lock();
  openSocket();
  if (onWorkerStart) {
    try {
      onWorkerStart(this);
    } catch (...) {
      detail::withCurrentException([](const std::exception& e) { stopAll(250, detail::describe(e)); });
    }
  }
  if (acceptsAfterStart_) resumeAccept();
}

void Worker::listen(bool autoAccept) {
  if (socketName_.empty() || Runtime::ofThisThread().isStopping()) return;
  openSocket();
  isStarted_ = true;
  isLocal_ = globalEvent->isDispatching() && weak_from_this().expired();
  if (autoAccept) resumeAccept();
}

void Worker::openSocket() {
  if (socketName_.empty() || listener_) return;
  hasRun_ = true;
  EventLoop& loop = *getEventLoop();
  if (!socket_) socket_ = detail::openListeningSocket(*this);
  listener_ = detail::makeListener(*this, loop, *socket_);
  socket_.reset();
  if (!limits_) limits_ = detail::makeConnectionLimits(*this, loop);
  self_ = weak_from_this().lock();
  stopping = false;
}

void Worker::adopt(std::shared_ptr<detail::OpenSocket> socket) noexcept {
  hasRun_ = true;
  socket_ = std::move(socket);
}

void Worker::unlisten() noexcept {
  pauseAccept();
  listener_.reset();
  releaseIfOver();
}

void Worker::pauseAccept() noexcept {
  acceptsAfterStart_ = false;
  if (!listener_ || !isAccepting_) return;
  listener_->pause();
  isAccepting_ = false;
}

void Worker::resumeAccept() {
  acceptsAfterStart_ = true;
  if (!listener_ || isAccepting_) return;
  isAccepting_ = true;
  listener_->resume();
}

void Worker::reloadCertificates() {
  if (listener_) listener_->reloadCertificates();
}

void Worker::stop(bool force) {
  const bool wasStarted = std::exchange(isStarted_, false);
  if (stopping || (!wasStarted && !listener_)) return;
  stopping = true;
  const auto pin = weak_from_this().lock();
  if (wasStarted) runStopCallback();
  unlisten();
  detail::closeConnections(this, force ? detail::Closing::AtOnce : Runtime::ofThisThread().howToClose());
}

void Worker::runStopCallback() noexcept {
  try {
    onWorkerStop(this);
  } catch (...) {
    detail::withCurrentException([](const std::exception& e) { detail::log(detail::describe(e)); });
  }
}

int Worker::getMainSocket() const noexcept {
  return listener_ ? listener_->descriptor() : -1;
}
int Worker::getListenPort() const noexcept {
  return listener_ ? listener_->port() : 0;
}

void Worker::connectionStarted() {
  ++connectionCount_;
  if (!self_) self_ = weak_from_this().lock();
}

void Worker::connectionEnded(const Connection::TcpConnection& connection) noexcept {
  if (limits_) limits_->ended(connection);
  --connectionCount_;
  releaseIfOver();
}

/// Neither listens nor has connections: nothing of the loop's is kept.
void Worker::releaseIfOver() noexcept {
  if (connectionCount_ != 0 || listener_) return;
  limits_.reset();
  self_.reset();
}

detail::Topics& Worker::topics() {
  if (!topics_) topics_ = detail::makeTopics(*this);
  return *topics_;
}

std::size_t Worker::publishMessage(std::string_view topic, Message data, bool toBridge) {
  return topics().publish(topic, data, toBridge);
}

std::size_t Worker::broadcastMessage(Message data) {
  return topics().broadcast(data);
}

// -- the thread -------------------------------------------------------------------

void Worker::embed(uv_loop_t* loop) {
  auto& runtime = Runtime::ofThisThread();
  if (runtime.phase() == Runtime::Phase::Idle) std::atomic_ref(detail::logConfig().embedded).store(true);
  runtime.start(loop);
}

int Worker::runLoop() {
  return Runtime::ofThisThread().run();
}

const std::vector<Worker*>& Worker::getAllWorkers() noexcept {
  return Runtime::ofThisThread().workers();
}

EventLoop* Worker::getEventLoop() {
  if (globalEvent == nullptr) {
    throw std::runtime_error(
        "there is no event loop in this thread yet: use onWorkerStart, or call embed() first");
  }
  return globalEvent;
}

bool Worker::getGracefulStop() noexcept {
  return Runtime::ofThisThread().isStoppingGracefully();
}

// -- what it says --------------------------------------------------------------------

void Worker::log(std::string_view message, bool decorated) {
  detail::log(message, decorated);
}

void Worker::safeEcho(std::string_view message, bool decorated) {
  detail::safeEcho(message, decorated);
}

}  // namespace Workerman
