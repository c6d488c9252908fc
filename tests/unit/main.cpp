#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <iostream>

int main(int argc, char** argv) {
  // What was said before a crash or a sanitizer's report is not lost with the buffer.
  std::cout << std::unitbuf;
  return doctest::Context(argc, argv).run();
}
