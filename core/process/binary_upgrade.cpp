#include "binary_upgrade.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <system_error>
#include <utility>

#include "command_line.h"

namespace Workerman::detail {
namespace {

constexpr std::size_t kMostPrinted = 2000;
constexpr std::size_t kMostReported = 4000;

/// A shell's own idea of it, so that a link that leads elsewhere by now is followed anew.
std::string workingFolder() {
  const std::unique_ptr<char, decltype(&std::free)> name(::get_current_dir_name(), &std::free);
  return name ? name.get() : "";
}

/// main() may go elsewhere, and what is relative is meant from here.
const std::string folderAtStart = workingFolder();

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// False where it is gone: then the program has to do with the one it is in.
bool goTo(const std::string& folder) {
  return ::chdir(folder.c_str()) == 0;
}

std::vector<char*> pointersTo(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

/// The last lines of what it has printed, as part of a log line.
std::string asQuote(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  std::string quote(text);
  std::replace(quote.begin(), quote.end(), '\n', ' ');
  return quote.empty() ? "" : ": " + quote;
}

/// What one message of a report begins with.
enum Kind : char { kSocket = 'S', kReady = 'R', kFailed = 'F' };

void send(int fd, std::string_view text, int passed = -1) noexcept {
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
  if (passed >= 0) {
    message.msg_control = space.data();
    message.msg_controllen = space.size();
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &passed, sizeof passed);
  }
  while (::sendmsg(fd, &message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

}  // namespace

// -- the program --------------------------------------------------------------------

std::optional<FileState> fileState(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileState{status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                   status.st_mtim.tv_nsec};
}

Executable Executable::ofThisProcess() {
  std::array<char, 4096> resolved{};
  const ssize_t size = ::readlink("/proc/self/exe", resolved.data(), resolved.size());
  const std::string running(resolved.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  const auto* const name = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  Executable self{name != nullptr ? name : "", folderAtStart, processArguments(), {}};
  if (!self.path.empty() && self.path[0] != '/') self.path = self.folder + "/" + self.path;
  // Started by descriptor, there is no other name.
  if (self.path.starts_with("/dev/fd/") || !fileState(self.path)) self.path = running;
  // Replaced since the start, it is no longer what the path leads to.
  self.state = fileState(running.ends_with(" (deleted)") ? "/proc/self/exe" : self.path);
  return self;
}

std::string runInstead(const Executable& program, const Handover& state) {
  Handed role{Handed::Role::Master};
  Descriptor memory;
  try {
    memory = state.write();
  } catch (const std::system_error& e) {
    return e.what();
  }
  role.state = memory.get();
  std::cout.flush();
  std::cerr.flush();
  std::fflush(nullptr);
  const Descriptor here(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const bool isThere = goTo(program.folder);
  announce(role, state, ::getpid(), true);
  ::execv(program.path.c_str(), pointersTo(program.arguments).data());
  const int error = errno;
  announce(role, state, ::getpid(), false);
  if (isThere && ::fchdir(here.get()) != 0) return reason(error) + ", and the working directory is lost";
  return reason(error);
}

// -- the trial ----------------------------------------------------------------------

Trial::Trial(const Executable& program, const Handover& state, Clock::duration limit)
    : master_(::getpid()), limit_(limit), deadline_(Clock::now() + limit), ran_(fileState(program.path)) {
  std::array<int, 2> report{}, output{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, report.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  reports_.reset(report[0]);
  const Descriptor childsReport(report[1]);
  if (::pipe2(output.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe");
  }
  output_.reset(output[0]);
  const Descriptor childsOutput(output[1]);
  ::fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  std::cout.flush();
  std::cerr.flush();
  std::fflush(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) runChild(program, state, childsReport.get(), childsOutput.get());
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
}

void Trial::runChild(const Executable& program, const Handover& state, int report, int output) {
  const TrialReport toMaster(report);
  // With all that it may start, to be killed together.
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != master_) ::_exit(1);
  try {
    ::fcntl(report, F_SETFL, 0);
    const Descriptor nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    ::dup2(nothing.get(), STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    goTo(program.folder);
    const Descriptor memory = state.write();
    announce({Handed::Role::Trial, memory.get(), report}, state, ::getpid(), true);
    ::unsetenv("NOTIFY_SOCKET");
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
    ::execv(program.path.c_str(), pointersTo(program.arguments).data());
    toMaster.failed(reason(errno));
  } catch (const std::exception& e) {
    toMaster.failed(e.what());
  }
  ::_exit(127);
}

Trial::~Trial() {
  if (::getpid() == master_) end();
}

void Trial::onEnd(int status) noexcept {
  status_ = status;
  // What it has started and left behind.
  ::kill(-std::exchange(pid_, 0), SIGKILL);
}

/// Nothing of it is left then.
void Trial::end() noexcept {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = status;
  pid_ = 0;
}

bool Trial::isOver() {
  const bool hasEnded = status_.has_value();
  readOutput();
  readReports();
  const bool isLate = Clock::now() >= deadline_;
  if (!isReported_ && !isAtEnd_ && !hasEnded && !isLate) return false;
  end();
  readOutput();
  if (isReported_) return true;
  if (isLate && !isAtEnd_ && !hasEnded) {
    failure_ = "it was not ready within " +
               std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(limit_).count()) +
               " ms (upgradeTimeout)";
  } else {
    failure_ = howItEnded();
  }
  failure_ += asQuote(printed_);
  return true;
}

std::string Trial::howItEnded() const {
  const int status = status_.value_or(0);
  if (WIFEXITED(status)) {
    return "it ended with status " + std::to_string(WEXITSTATUS(status)) + " before its workers could start";
  }
  if (WTERMSIG(status) == SIGKILL) return "it was killed, or closed the descriptors that it was given";
  return "it ended by signal " + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) +
         ")";
}

void Trial::readOutput() {
  char piece[4096];
  for (ssize_t got; (got = ::read(output_.get(), piece, sizeof piece)) > 0;) {
    printed_.append(piece, static_cast<std::size_t>(got));
    if (printed_.size() > kMostPrinted) printed_.erase(0, printed_.size() - kMostPrinted);
  }
}

void Trial::readReports() {
  while (!isReported_ && !isAtEnd_) {
    std::array<char, kMostReported> text{};
    iovec part{text.data(), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = space.data();
    message.msg_controllen = space.size();
    const ssize_t size = ::recvmsg(reports_.get(), &message, MSG_CMSG_CLOEXEC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    isAtEnd_ = size <= 0;
    if (isAtEnd_) return;
    const std::string_view content(text.data() + 1, static_cast<std::size_t>(size) - 1);
    const cmsghdr* const head = CMSG_FIRSTHDR(&message);
    if (text[0] == kSocket && head != nullptr && head->cmsg_type == SCM_RIGHTS &&
        content.size() == 1 + sizeof(FileId)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
      FileId file;
      std::memcpy(&file, content.data() + 1, sizeof file);
      sockets_.add({fd, file, content[0] == '1'});
    }
    isReported_ = text[0] == kReady || text[0] == kFailed;
    if (text[0] == kFailed) failure_ = content.empty() ? "it does not say why" : std::string(content);
  }
}

void TrialReport::opened(const InheritedSocket& socket) const noexcept {
  std::array<char, 2 + sizeof(FileId)> text{kSocket, socket.anyPort ? '1' : '0'};
  std::memcpy(text.data() + 2, &socket.file, sizeof socket.file);
  send(fd_, {text.data(), text.size()}, socket.fd);
}

void TrialReport::ready() const noexcept {
  const char text = kReady;
  send(fd_, {&text, 1});
}

void TrialReport::failed(std::string_view why) const noexcept {
  std::array<char, kMostReported> text{kFailed};
  const std::size_t size = std::min(why.size(), text.size() - 1);
  std::copy_n(why.data(), size, text.data() + 1);
  send(fd_, {text.data(), size + 1});
}

}  // namespace Workerman::detail
