"""Runs the tests of this folder. Arguments: parts of names, to run only those."""

import sys
import unittest

import chart


class Result(unittest.TextTestResult):
    def startTest(self, test):
        unittest.TestResult.startTest(self, test)

    def addSuccess(self, test):
        self.tell("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell("FAIL", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.tell("FAIL", test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.tell("FAIL", subtest)

    def tell(self, verdict, test):
        self.stream.writeln(f"{verdict:4} {test.id().removeprefix('test_').replace('.test_', ': ')}")


def main(parts):
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{part}*" for part in parts] or None
    suite = loader.discover(str(chart.ROOT / "tests/chart"))
    result = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=0).run(suite)
    # Of a test with parts, each that failed is in the list.
    failed = len({getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors})
    print(f"{result.testsRun - failed} passed, {failed} failed")
    return 0 if result.testsRun > failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
