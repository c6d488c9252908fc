#pragma once

/// Leaving the terminal (internal).

#include <string>
#include <string_view>

namespace Workerman::detail {

/// How the daemon tells the process that launched it how its start went. Nobody
/// may be listening any more: then nothing happens.
class Readiness {
 public:
  Readiness() = default;
  /// Takes over one end of a stream socket.
  explicit Readiness(int fd) noexcept : fd_(fd) {}
  Readiness(Readiness&& other) noexcept;
  Readiness& operator=(Readiness&& other) noexcept;
  ~Readiness();

  /// -1: nobody listens.
  int fd() const noexcept { return fd_; }
  /// The service is up. Only the first word counts, of this or the next one.
  void ready() noexcept;
  /// It is not: `why` is for the person at the terminal. `status` from 1 to 255.
  void failed(int status, std::string_view why) noexcept;
  /// For a forked child: it is the master who tells. What all processes close
  /// without a word counts as a failure.
  void close() noexcept;

 private:
  void tell(int status, std::string_view text) noexcept;
  int fd_ = -1;
};

/// How a start ended, as its launcher sees it.
struct StartOutcome {
  int status = 0;  ///< What to exit with; 0: the daemon runs.
  std::string why;
};

/// Waits for the other end of `fd` to tell, or to end without a word (status
/// 1), and closes `fd`. There is no time limit: a start may take what it takes.
StartOutcome awaitReadiness(int fd);

struct Detached {
  bool isDaemon = false;
  Readiness readiness;   ///< In the daemon.
  StartOutcome outcome;  ///< In the launching process, once the daemon has told.
};

/// Forks a daemon: a session of its own without a terminal that it could ever
/// get back. Returns in both processes; the launching one should then show
/// `why`, and _exit. Standard streams stay until redirectStdio(), so that a
/// start can still be seen. Call it while there is one thread, and flush before.
///
/// Differs from Workerman: the umask stays what it was (0 there, so that log
/// files and sockets are open to everybody); the launcher's exit status tells
/// whether the service is up. The working directory stays in both.
/// @throws std::system_error if the system has no process or socket left.
Detached detach();

/// Standard output and error go to the end of `file`, standard input is empty.
/// All three are then open, whatever they were before.
/// @throws std::runtime_error naming the file and the cause; nothing has changed then.
void redirectStdio(const std::string& file);

}  // namespace Workerman::detail
