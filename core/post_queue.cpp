#include "post_queue.h"

#include <mutex>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "uv_handle.h"

namespace Workerman::detail {

struct PostQueue::Queue {
  explicit Queue(EventLoop& owner) : loop(owner) {}

  std::mutex mutex;
  std::vector<std::unique_ptr<PostedTask>> tasks;  // guarded
  uv_async_t* wakeUp = nullptr;                    // guarded; nullptr once closed

  // The loop's thread only.
  EventLoop& loop;
  UvHandle<uv_async_t> handle;
};

namespace {

using QueuePtr = std::shared_ptr<PostQueue::Queue>;

/// Which loops can be posted to. One for the process: other threads have
/// nothing but the uv_loop_t's address to name a loop by.
struct Registry {
  std::mutex mutex;
  std::unordered_map<const uv_loop_t*, QueuePtr> queues;

  QueuePtr find(const uv_loop_t* loop) {
    const std::lock_guard lock(mutex);
    auto found = queues.find(loop);
    return found == queues.end() ? nullptr : found->second;
  }
};

/// Never destroyed: a thread may still post while the process exits.
Registry& registry() {
  static auto* const instance = new Registry;
  return *instance;
}

/// Runs what was waiting; what is posted meanwhile is for the next iteration.
void drain(const QueuePtr& queue) {
  std::vector<std::unique_ptr<PostedTask>> tasks;
  {
    const std::lock_guard lock(queue->mutex);
    tasks.swap(queue->tasks);
  }
  for (auto& task : tasks) {
    if (!queue->handle) {
      return;  // One of them ended the loop.
    }
    queue->loop.guarded([&] { task->run(); });
    task.reset();
  }
}

void onWakeUp(uv_async_t* async) noexcept {
  if (const QueuePtr queue = registry().find(async->loop)) {
    DispatchScope scope(queue->loop);
    drain(queue);
  }
}

}  // namespace

void PostQueue::open(EventLoop& loop) {
  if (const QueuePtr present = registry().find(loop.uvLoop())) {
    if (&present->loop != &loop) {
      throw std::logic_error("this uv_loop_t already belongs to another EventLoop");
    }
    return;
  }
  auto queue = std::make_shared<Queue>(loop);
  const int error = queue->handle.open(
      loop, [&](uv_async_t* async) { return uv_async_init(loop.uvLoop(), async, &onWakeUp); });
  if (error < 0) {
    throw std::runtime_error(std::string("cannot make a queue for other threads: ") + uv_strerror(error));
  }
  if (!loop.ownsLoop()) {
    uv_unref(queue->handle.base());
  }
  queue->wakeUp = queue->handle.get();
  const std::lock_guard lock(registry().mutex);
  registry().queues.emplace(loop.uvLoop(), std::move(queue));
}

void PostQueue::close(EventLoop& loop) noexcept {
  QueuePtr queue = registry().find(loop.uvLoop());
  if (!queue || &queue->loop != &loop) {
    return;
  }
  {
    const std::lock_guard lock(registry().mutex);
    registry().queues.erase(loop.uvLoop());
  }
  std::vector<std::unique_ptr<PostedTask>> never;
  {
    // A poster that found the queue before may be about to send: it holds the
    // lock while it does.
    const std::lock_guard lock(queue->mutex);
    queue->wakeUp = nullptr;
    never.swap(queue->tasks);
  }
  queue->handle.close();
}

bool PostQueue::post(uv_loop_t* loop, std::unique_ptr<PostedTask> task) {
  const QueuePtr queue = registry().find(loop);
  if (!queue) {
    return false;
  }
  const std::lock_guard lock(queue->mutex);
  if (!queue->wakeUp) {
    return false;
  }
  queue->tasks.push_back(std::move(task));
  if (queue->tasks.size() == 1) {
    uv_async_send(queue->wakeUp);
  }
  return true;
}

}  // namespace Workerman::detail
