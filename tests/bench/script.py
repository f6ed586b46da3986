"""What the scripts share: settings, words for whoever looks on, waiting."""
import os
import sys
import time

BEGUN = time.time()


def setting(name, default):
    """A number from the environment."""
    value = os.environ.get(name, "")
    return int(value) if value else default


def say(text, end="\n"):
    """A line; with end="\\r" one that the next replaces, where somebody looks on."""
    tty = sys.stderr.isatty()
    print(f"[{time.time() - BEGUN:4.0f}s] {text}" + ("\x1b[K" if tty else ""), end=end if tty else "\n",
          file=sys.stderr, flush=True)


def wait_for(what_for, test, seconds, every=0.05, state=None):
    """Until test() is true; says every few seconds how far it is."""
    deadline, next_word = time.time() + seconds, time.time() + 2
    while not test():
        now = time.time()
        if now > deadline:
            raise RuntimeError(f"waited {seconds} s in vain for {what_for}" + (f" ({state()})" if state else ""))
        if now >= next_word:
            say(f"  waiting for {what_for}" + (f": {state()}" if state else ""), end="\r")
            next_word = now + (1 if sys.stderr.isatty() else 10)
        time.sleep(every)
    return time.time()


def pause(seconds, why):
    end = time.time() + seconds
    wait_for(why, lambda: time.time() >= end, seconds + 5, state=lambda: f"{end - time.time():.0f} s")
