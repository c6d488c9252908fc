// TLS in several processes: certificates that are renewed on disk, sessions that go on elsewhere, and what is
// told when a certificate cannot be read.

#include <atomic>
#include <csignal>
#include <set>
#include <string>
#include <thread>

#include "support/certificates.h"
#include "support/program.h"
#include "support/service.h"
#include "support/tls_line_client.h"

using testing::becomesTrue;
using testing::Certificates;
using testing::Identity;
using testing::Program;
using testing::Result;
using testing::runs;
using testing::Service;
using testing::TlsLineClient;

namespace {

/// A file with a certificate that is renewed.
class RenewedFile {
 public:
  RenewedFile() { renew("old"); }
  /// Puts another certificate in its place, whose common name this is.
  void renew(const std::string& name) {
    const Identity identity({.commonName = name}, &certificates_.authority);
    put(identity.certificatePem() + identity.keyPem());
  }
  /// As programs that renew certificates do it: at no moment the file is not whole.
  void put(const std::string& contents) {
    std::filesystem::rename(certificates_.write("next.pem", contents), path);
    std::filesystem::permissions(path, std::filesystem::perms(0600));
  }

 private:
  Certificates certificates_;

 public:
  const std::string path = certificates_.folder() + "/server.pem";
  const std::string option = "cert=" + path;
};

/// Comes, asks and goes without pause, each time with a new connection.
class RestlessTlsClient {
 public:
  explicit RestlessTlsClient(int port)
      : thread_([this, port] {
          while (!isOver_) {
            TlsLineClient client(port);
            const bool isAnswered = client.ask("who") != "";
            ++(!client.connected() ? refused : isAnswered ? answered : cut);
          }
        }) {}
  ~RestlessTlsClient() {
    isOver_ = true;
    thread_.join();
  }

  std::atomic<int> answered{0}, refused{0}, cut{0};

 private:
  std::atomic<bool> isOver_{false};
  std::thread thread_;
};

/// Whom a new connection is shown.
std::string nameAt(int port) {
  return TlsLineClient(port).name();
}

int processOf(const std::string& answer) {
  return std::atoi(answer.substr(answer.find(' ') + 1).c_str());
}

}  // namespace

TEST_CASE("tls reload: new connections see the new certificate, and nobody is refused") {
  for (const int signal : {SIGUSR1, SIGUSR2}) {
    CAPTURE(signal);
    RenewedFile file;
    Service service({"count=2", file.option});
    const int port = service.started(2)[0].port;
    CHECK(nameAt(port) == "old");
    RestlessTlsClient client(port);
    for (std::size_t times = 1; times <= 5; ++times) {
      const std::string name = "new " + std::to_string(times);
      file.renew(name);
      service.process().signal(signal);
      service.started(2 + 2 * times);
      service.sees("other 0 ", static_cast<int>(times) + 1);
      CHECK(nameAt(port) == name);
      const int answered = client.answered;
      CHECK(becomesTrue([&] { return client.answered > answered; }));
    }
    CHECK(client.refused == 0);
    if (signal == SIGUSR2) CHECK(client.cut == 0);
    CHECK(service.stop() == 0);
  }
}

TEST_CASE("tls reload: gracefully, an old connection goes on until it ends") {
  RenewedFile file;
  Service service({file.option});
  const int port = service.started(1)[0].port;
  {
    TlsLineClient stayer(port);
    CHECK(stayer.ask("graceful") == "no");
    file.renew("new");
    service.process().signal(SIGUSR2);
    service.sees("stop 0 ");
    CHECK(stayer.ask("graceful") == "yes");
    CHECK(stayer.name() == "old");
  }
  service.started(2);
  CHECK(nameAt(port) == "new");
  CHECK(service.stop() == 0);
}

TEST_CASE("tls reload: a certificate that cannot be read is logged, and the old one used further") {
  RenewedFile file;
  Service service({"count=2", file.option});
  const int port = service.started(2)[0].port;
  const auto reload = [&](std::size_t times) {
    service.process().signal(SIGUSR1);
    service.started(2 + 2 * times);
    service.sees("other 0 ", static_cast<int>(times) + 1);
  };
  file.put("-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n");
  reload(1);
  CHECK(service.sees("worker[service] TLS: cannot read the certificate " + file.path));
  CHECK(service.sees("; the certificates read before are used further\n"));
  CHECK(nameAt(port) == "old");
  file.put(Identity({}).certificatePem() + Identity({}).keyPem());
  reload(2);
  CHECK(service.sees("worker[service] TLS: the key " + file.path + " does not fit " + file.path));
  CHECK(nameAt(port) == "old");
  file.renew("new");
  reload(3);
  CHECK(nameAt(port) == "new");
  CHECK(service.times("used further") == 2);
  CHECK(service.stop() == 0);
}

TEST_CASE("tls reload: where reloadable is false, the processes stay and read the certificate") {
  RenewedFile file;
  Service service({"count=2", "reloadable=0", file.option});
  const auto workers = service.started(2);
  const int port = workers[0].port;
  TlsLineClient stayer(port);
  CHECK(stayer.ask("state") != "");
  file.renew("new");
  service.process().signal(SIGUSR1);
  service.sees("\nreload ", 2);
  service.sees("other 0 ", 2);
  for (int i = 0; i < 10; ++i) CHECK(nameAt(port) == "new");
  CHECK(stayer.ask("state") != "");
  for (const auto& worker : workers) CHECK(runs(worker.pid));
  file.put("broken");
  service.process().signal(SIGUSR1);
  // The master, and both processes.
  CHECK(service.sees("used further", 3));
  CHECK(nameAt(port) == "new");
  CHECK(service.stop() == 0);
}

TEST_CASE(
    "tls: a session goes on in every process, also in one that is new or has read the certificate anew") {
  for (const std::string options : {"reuse-port=0", "reuse-port=1", "reloadable=0"}) {
    CAPTURE(options);
    RenewedFile file;
    Service service({"count=2", options, file.option});
    const auto workers = service.started(2);
    const int port = workers[0].port;
    if (options == "reloadable=0") {
      service.process().signal(SIGUSR1);
      service.sees("\nreload ", 2);
    }
    TlsLineClient first(port);
    const int maker = processOf(first.ask("who"));
    CHECK_FALSE(first.isResumed());
    const auto session = first.session();
    // Until another process has taken it.
    std::set<int> takers;
    const auto visit = [&] {
      TlsLineClient client(port, session);
      takers.insert(processOf(client.ask("who")));
      CHECK(client.isResumed());
    };
    CHECK(becomesTrue([&] {
      visit();
      return takers.size() == 2;
    }));
    ::kill(maker, SIGKILL);
    service.started(3);
    CHECK(becomesTrue([&] {
      visit();
      return takers.size() == 3;
    }));
    CHECK(service.stop() == 0);
  }
}

TEST_CASE("tls: without its certificate a service does not start, and says why") {
  const Program service;
  const Certificates certificates;
  const std::string noKey = certificates.write("no_key.pem", certificates.authority.certificatePem());
  const std::pair<std::string, std::string> cases[] = {
      {"/nowhere/cert.pem", "TLS: cannot read the certificate /nowhere/cert.pem: No such file or directory"},
      {noKey, "TLS: cannot read the private key " + noKey},
  };
  for (const auto& [file, words] : cases) {
    for (const bool isDaemon : {false, true}) {
      CAPTURE(isDaemon);
      const Result result =
          isDaemon ? service({"start", "-d", "cert=" + file}) : service({"start", "cert=" + file});
      CHECK(result.status == 1);
      CHECK_MESSAGE(result.has("cannot listen on text://127.0.0.1:0: " + words), result.text);
    }
  }
}

TEST_CASE("tls: a key that only root can read is read before a worker becomes somebody else, and at reload") {
  if (::getuid() != 0) return;
  RenewedFile file;
  const Program service;
  CHECK(service({"start", "-d", "count=2", "user=nobody", file.option, service.toOutput()}).status == 0);
  REQUIRE(becomesTrue([&] { return service.output().find("other 0 ") != std::string::npos; }));
  const int port = service.port();
  CHECK(service.output().find("uid 0") == std::string::npos);
  CHECK(nameAt(port) == "old");
  int number = 0;
  for (const std::vector<std::string>& command : {std::vector<std::string>{"reload"}, {"reload", "-g"}}) {
    const std::string name = "new " + std::to_string(++number);
    CAPTURE(name);
    file.renew(name);
    CHECK(service(command).status == 0);
    // Until the old processes are gone one of them may answer.
    CHECK(becomesTrue([&] {
      for (int i = 0; i < 10; ++i) {
        if (nameAt(port) != name) return false;
      }
      return true;
    }));
  }
  CHECK(service.log().find("TLS") == std::string::npos);
  CHECK(service({"stop"}).status == 0);
}
