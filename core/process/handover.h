#pragma once

/// What a master leaves to itself under its new binary, and to the child that
/// tries that first (internal). Descriptors and an environment variable survive
/// an exec; the rest of it stands in a file in memory.

#include <cstdint>
#include <string>
#include <vector>

#include "../descriptor.h"
#include "inherited_sockets.h"

namespace Workerman::detail {

/// A worker's process, which goes on under the new master.
struct HandedProcess {
  std::string worker;  ///< which one: see workerKeys()
  std::string name;    ///< what that is called in the log
  int id = 0;
  int pid = 0;
  int channel = -1;  ///< ChannelToWorker's
  bool isReady = false;
  bool isReloadable = true;
  std::int64_t startedAt = 0;  ///< nanoseconds of the monotonic clock
};

/// How often processes of a worker have ended with a raw status.
struct HandedExit {
  std::string worker;
  int status = 0;
  std::uint64_t times = 0;
};

struct Handover {
  std::vector<InheritedSocket> sockets;
  std::vector<HandedProcess> processes;
  std::vector<HandedExit> exits;
  std::string pidFile;
  int pidFd = -1;
  /// Readiness's; -1 where nobody waits for it.
  int launcher = -1;
  bool daemonize = false;
  bool isUp = false;
  bool isGraceful = false;
  /// Of the reload that is to follow this one. -1: none; else whether gracefully.
  int reloadAgain = -1;
  std::int64_t startTime = 0;

  /// All that it names and that is open.
  std::vector<int> descriptors() const;
  /// @throws std::system_error
  Descriptor write() const;
  /// @throws std::runtime_error if `fd` holds nothing of the kind.
  static Handover read(int fd);
};

/// What this process was started for.
struct Handed {
  enum class Role {
    None,     ///< By a person, or a service manager.
    Trial,    ///< By a master, to see whether it can run.
    Master,   ///< It is the master, with another binary than before.
    Foreign,  ///< By a master that uses another version of this library, and cannot be understood.
  };
  Role role = Role::None;
  int state = -1;   ///< For Handover::read()
  int report = -1;  ///< For a TrialReport
};

/// Looked at before main(), which no longer sees the variable that tells it,
/// and whose children get none of the descriptors.
const Handed& handed() noexcept;

/// Sets that variable, for `pid` alone, and lets what it names through an exec
/// (false: neither any more).
void announce(const Handed& handed, const Handover& state, int pid, bool on);

}  // namespace Workerman::detail
