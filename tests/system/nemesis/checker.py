# SPDX-License-Identifier: Apache-2.0
"""The checker of a run of the nemesis. It knows nothing of the product: it reads the histories of the
players (see player.h) and the files that jobs and followers wrote, and says what was promised and
not kept.

usage: checker.py FOLDER | --self-test

FOLDER holds *.history and, in FOLDER/jobs, what jobs wrote.
"""
import bisect
import collections
import glob
import os
import re
import sys
import tempfile

ENDED = ("ok", "failed", "cancelled", "timeout", "lost", "skipped")
SHOWN_MAX = 10


def fnv1a(text):
    """The sum that a worker must have returned for this input."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return value


def mix(value):
    """As the client makes its numbers."""
    mask = (1 << 64) - 1
    value &= mask
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & mask
    value = (value ^ value >> 27) * 0x94D049BB133111EB & mask
    return value ^ value >> 31


class Seen:
    """All histories, by what they say."""

    def __init__(self, folder):
        self.kinds = {}                                     # key -> task, command, once
        self.acks = collections.defaultdict(set)            # key -> jobs
        self.called_ms = {}                                 # key -> first call
        self.acked_ms = {}                                  # key -> first answer
        self.unknown = set()                                # keys
        self.faults = []                                    # (name, ms)
        self.refused = {}                                   # key -> error
        self.ends = collections.defaultdict(set)            # key -> (job, state, attempt, result)
        self.runs = collections.defaultdict(list)           # key -> (job, attempt)
        self.followed = {}                                  # key -> state
        self.events = collections.defaultdict(list)         # player -> rows
        self.jobs = collections.defaultdict(list)           # key -> (job, state, attempt)
        self.attempts = collections.defaultdict(list)       # key -> (attempt, outcome)
        self.audited = False
        self.wrong = []
        for path in sorted(glob.glob(os.path.join(folder, "*.history"))):
            with open(path, encoding="utf-8") as file:
                lines = file.read().split("\n")
            for line in lines[:-1]:
                self.take(os.path.basename(path), line.split(" "))

    def take(self, player, words):
        what, rest = words[0], words[1:]
        if what == "call":
            self.kinds[rest[0]] = rest[1]
            self.called_ms.setdefault(rest[0], int(rest[2]))
        elif what == "ack":
            self.acks[rest[0]].add(int(rest[1]))
            self.acked_ms.setdefault(rest[0], int(rest[2]))
        elif what == "fault":
            self.faults.append((rest[0], int(rest[1])))
        elif what == "unknown":
            self.unknown.add(rest[0])
        elif what == "refused":
            self.refused[rest[0]] = rest[1]
        elif what == "end":
            self.ends[rest[0]].add((int(rest[1]), rest[2], int(rest[3]), rest[4]))
        elif what == "run":
            self.runs[rest[0]].append((int(rest[1]), int(rest[2])))
        elif what == "followed":
            self.followed[rest[0]] = rest[2]
        elif what == "event":
            self.events[player].append((int(rest[0]), int(rest[1]), rest[2], int(rest[3]), rest[5]))
        elif what == "job":
            self.jobs[rest[0]].append((int(rest[1]), rest[2], int(rest[3])))
        elif what == "attempt":
            self.attempts[rest[0]].append((int(rest[2]), rest[3]))
        elif what == "audited":
            self.audited = True
        else:
            self.wrong.append(f"{player}: a line that nobody writes: {' '.join(words)[:80]}")


class Verdict:
    """What is wrong, by kind, and figures."""

    KINDS = ("lost", "unexpected", "duplicated", "wrong answers", "logs", "events")

    def __init__(self):
        self.found = collections.OrderedDict((kind, []) for kind in self.KINDS)
        self.figures = collections.OrderedDict()

    def add(self, kind, words):
        self.found[kind].append(words)

    def failed(self):
        return any(self.found.values())

    def print(self, out=sys.stdout):
        for kind, items in self.found.items():
            for words in items[:SHOWN_MAX]:
                print(f"FAIL {kind}: {words}", file=out)
            if len(items) > SHOWN_MAX:
                print(f"FAIL {kind}: and {len(items) - SHOWN_MAX} more", file=out)
        counts = ", ".join(f"{len(items)} {kind}" for kind, items in self.found.items())
        figures = ", ".join(f"{value} {name}" for name, value in self.figures.items())
        print(f"checker: {figures}: {counts}", file=out)


# ---- jobs ------------------------------------------------------------------------------------------------

def allowed_states(kind):
    """A job that runs at most once may be lost; nothing else may fail."""
    return ("ok", "lost") if kind == "once" else ("ok",)


def check_key(seen, key, verdict):
    """One submit: from its call to its end."""
    kind, jobs, rows, ends = seen.kinds[key], seen.acks[key], seen.jobs[key], seen.ends[key]
    if key in seen.refused:
        verdict.add("wrong answers", f"{key} was refused: {seen.refused[key]}")
        return
    if len(jobs | {row[0] for row in rows}) > 1:
        verdict.add("duplicated", f"{key} is jobs {sorted(jobs | {row[0] for row in rows})}")
    if len(ends) > 1:
        verdict.add("duplicated", f"{key} ended twice: {sorted(ends)}")
    if jobs and not rows:
        verdict.add("lost", f"{key}, acknowledged as job {sorted(jobs)}, is not there")
    for job, state, attempt in rows:
        if state not in ENDED:
            verdict.add("lost", f"{key}, job {job}, never ended: {state}, attempt {attempt}")
        elif state not in allowed_states(kind):
            verdict.add("lost", f"{key}, job {job}, ended {state}, attempt {attempt}")
        for end in ends:
            if end[:3] != (job, state, attempt):
                verdict.add("wrong answers", f"{key}: a client saw {end}, the list says "
                            f"{(job, state, attempt)}")
    if jobs and not ends:
        verdict.add("lost", f"{key}, job {sorted(jobs)}: its end was never told")


def check_results(seen, seed, verdict):
    """The result of every task is that of its input, and only attempts that ran ended."""
    for key, ends in seen.ends.items():
        if seen.kinds.get(key) != "task":
            continue
        index = int(key.rsplit("-", 1)[1])
        wanted = f"{fnv1a(f'{key} {mix(seed * 37 + index):x}'):016x}".encode().hex()
        for job, state, attempt, result in ends:
            if state == "ok" and result != wanted:
                verdict.add("wrong answers", f"{key}, job {job}: result {result}, not {wanted}")
            if state == "ok" and (job, attempt) not in seen.runs[key]:
                verdict.add("wrong answers", f"{key}, job {job}: attempt {attempt} ended but no "
                            f"worker ran it, only {seen.runs[key]}")
    for key, runs in seen.runs.items():
        if len(runs) != len(set(runs)):
            verdict.add("duplicated", f"{key}: one attempt ran twice: {sorted(runs)}")


# ---- commands ----------------------------------------------------------------------------------------------

def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def check_bytes(key, attempt, base, suffix, whole, verdict):
    """What Plexus kept of both streams is what the job wrote, or a part from its beginning."""
    for stream in ("out", "err"):
        written = content(f"{base}.{attempt}.written.{stream}")
        kept = content(f"{base}.{attempt}.{suffix}.{stream}")
        if kept is None and (not whole or not written):
            continue
        written, kept = written or b"", kept or b""
        if kept == written or not whole and written.startswith(kept):
            continue
        same = len(os.path.commonprefix([written, kept]))
        verdict.add("logs", f"{key}, attempt {attempt}, {stream} {suffix}: {len(kept)} bytes, "
                    f"{len(written)} were written, the first {same} are the same")


def check_command(seen, folder, key, verdict):
    base = os.path.join(folder, "jobs", key)
    starts = (content(f"{base}.runs") or b"").split()
    if len(starts) != len(set(starts)):
        verdict.add("duplicated", f"{key}: one attempt was started twice: {starts}")
    if seen.kinds[key] == "once" and len(starts) > 1:
        verdict.add("duplicated", f"{key} runs at most once, but {len(starts)} attempts started")
    for _, state, attempt in seen.jobs[key]:
        done = os.path.exists(f"{base}.{attempt}.done")
        if state == "ok" and not done:
            verdict.add("wrong answers", f"{key} ended ok, but attempt {attempt} was not finished")
        for number in range(1, attempt + 1):
            whole = state == "ok" and number == attempt
            check_bytes(key, number, base, "stored", whole, verdict)
            check_bytes(key, number, base, "followed",
                        whole and key in seen.followed, verdict)


# ---- events --------------------------------------------------------------------------------------------------

def check_events(seen, verdict):
    """Numbers grow, no job ends twice, and every job that ended has its event."""
    for player, rows in seen.events.items():
        numbers = [row[:2] for row in rows]
        for before, after in zip(numbers, numbers[1:]):
            if after <= before:
                verdict.add("events", f"{player}: {after} came after {before}")
        ends = collections.Counter(job for _, _, _, job, state in rows if state in ENDED)
        for job, count in ends.items():
            if count > 1:
                verdict.add("duplicated", f"{player}: job {job} ended {count} times")
        states = {job: state for _, _, _, job, state in rows if state in ENDED}
        for key, jobs in seen.jobs.items():
            for job, state, _ in jobs:
                if state in ENDED and states.get(job) != state:
                    verdict.add("events", f"{player}: {key}, job {job}, ended {state}, its event "
                                f"says {states.get(job)}")


def count_recovered(seen):
    """Submits that were under way when something was done to the mesh, and were answered after it."""
    times = sorted(ms for _, ms in seen.faults)
    return sum(1 for key, ms in seen.acked_ms.items()
               if key in seen.unknown or
               bisect.bisect(times, ms) > bisect.bisect_left(times, seen.called_ms.get(key, ms)))


# ---- all -------------------------------------------------------------------------------------------------------

def check(folder, seed, wanted=None):
    """Judge a folder. wanted: how many submits there should be."""
    seen = Seen(folder)
    verdict = Verdict()
    for words in seen.wrong:
        verdict.add("unexpected", words)
    if not seen.audited:
        verdict.add("lost", "the audit was not finished")
    if wanted is not None and len(seen.kinds) != wanted:
        verdict.add("lost", f"{len(seen.kinds)} submits were called, not {wanted}")
    for key in seen.jobs:
        if key not in seen.kinds:
            verdict.add("unexpected", f"job {seen.jobs[key]} named {key!r} was never submitted")
    for key in seen.kinds:
        check_key(seen, key, verdict)
        if seen.kinds[key] != "task":
            check_command(seen, folder, key, verdict)
    check_results(seen, seed, verdict)
    check_events(seen, verdict)
    ended = sum(1 for rows in seen.jobs.values() for row in rows if row[1] in ENDED)
    verdict.figures["submits"] = len(seen.kinds)
    verdict.figures["acknowledged"] = sum(1 for jobs in seen.acks.values() if jobs)
    verdict.figures["recovered"] = count_recovered(seen)
    verdict.figures["ended"] = ended
    verdict.figures["commands"] = sum(1 for kind in seen.kinds.values() if kind != "task")
    verdict.figures["logs followed"] = len(seen.followed)
    verdict.figures["ran again"] = sum(1 for rows in seen.jobs.values() for row in rows if row[2] > 1)
    verdict.figures["lost by leave"] = sum(1 for rows in seen.jobs.values() for row in rows
                                           if row[1] == "lost")
    return verdict


# ---- self-test: each breach must be seen ----------------------------------------------------------------------

GOOD = {
    "a.history": "call a-0 task 10\nack a-0 1 11\nend a-0 1 ok 1 {sum}\n"
                 "call a-1 command 12\nunknown a-1 TIMED_OUT\nack a-1 2 20\nend a-1 2 ok 2 -\n"
                 "followed a-1 2 ok\ncall a-2 once 30\nack a-2 3 31\nend a-2 3 lost 1 -\n",
    "w.history": "run a-0 1 1\n",
    "e.history": "event 1 0 job.submitted 1 0 queued\nevent 2 0 job.ended 1 1 ok\n"
                 "event 2 1 job.ended 2 2 ok\nevent 3 0 job.lost 3 1 lost\n",
    "x.history": "job a-0 1 ok 1\njob a-1 2 ok 2\njob a-2 3 lost 1\naudited\n",
    "jobs/a-1.runs": "1\n2\n", "jobs/a-1.1.written.out": "one two", "jobs/a-1.1.stored.out": "one",
    "jobs/a-1.2.written.out": "all", "jobs/a-1.2.stored.out": "all",
    "jobs/a-1.2.followed.out": "all", "jobs/a-1.2.done": "", "jobs/a-2.runs": "1\n",
}
# name, file, text, its replacement, kind of breach; "" as text: append.
BREACHES = [
    ("an acknowledged job that is gone", "x.history", "job a-0 1 ok 1\n", "", "lost"),
    ("a job that never ended", "x.history", "a-0 1 ok 1", "a-0 1 running 1", "lost"),
    ("a job that failed", "x.history", "a-1 2 ok 2", "a-1 2 failed 2", "lost"),
    ("an end that nobody told", "a.history", "end a-1 2 ok 2 -\n", "", "lost"),
    ("no audit", "x.history", "audited\n", "", "lost"),
    ("a job that nobody submitted", "x.history", "", "job b-9 9 ok 1\n", "unexpected"),
    ("two jobs of one key", "x.history", "", "job a-0 9 ok 1\n", "duplicated"),
    ("two ends of one job", "a.history", "", "end a-0 1 ok 2 -\n", "duplicated"),
    ("one attempt run twice", "w.history", "", "run a-0 1 1\n", "duplicated"),
    ("one attempt started twice", "jobs/a-1.runs", "", "2\n", "duplicated"),
    ("at most once, twice", "jobs/a-2.runs", "", "2\n", "duplicated"),
    ("two end events", "e.history", "", "event 4 0 job.ended 1 1 ok\n", "duplicated"),
    ("a wrong result", "a.history", "ok 1 {sum}", "ok 1 00", "wrong answers"),
    ("an end of an attempt that did not run", "w.history", "run a-0 1 1", "run a-0 1 2", "wrong answers"),
    ("an ok without its work", "jobs/a-1.2.done", None, "", "wrong answers"),
    ("a refusal", "a.history", "ack a-1 2 20", "refused a-1 LIMIT", "wrong answers"),
    ("a byte missing in a log", "jobs/a-1.2.stored.out", "all", "al", "logs"),
    ("a byte too much", "jobs/a-1.2.followed.out", "", "l", "logs"),
    ("an earlier attempt's log that differs", "jobs/a-1.1.stored.out", "one", "two", "logs"),
    ("an event out of order", "e.history", "", "event 2 1 job.held 2 0 -\n", "events"),
    ("an end without its event", "e.history", "event 2 0 job.ended 1 1 ok\n", "", "events"),
]


def self_test_folder(folder, breach):
    wanted = f"{fnv1a(f'a-0 {mix(7 * 37):x}'):016x}".encode().hex()
    os.mkdir(os.path.join(folder, "jobs"))
    for name, text in GOOD.items():
        if breach and name == breach[1]:
            if breach[2] is None:
                continue
            if breach[2] not in text:
                raise ValueError(breach[0])
            text = text.replace(breach[2], breach[3]) if breach[2] else text + breach[3]
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text.replace("{sum}", wanted))


def self_test():
    failed = 0
    for breach in [None] + BREACHES:
        with tempfile.TemporaryDirectory() as folder:
            self_test_folder(folder, breach)
            verdict = check(folder, 7, 3)
            right = bool(verdict.found[breach[4]]) if breach else not verdict.failed()
            if not right:
                failed += 1
                print(f"FAIL {breach[0] if breach else 'a run without fault'}")
                verdict.print()
    print(f"{len(BREACHES) + 1 - failed} passed, {failed} failed")
    return failed > 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 3 or not re.fullmatch(r"\d+", sys.argv[2]):
        print("usage: checker.py FOLDER SEED | --self-test", file=sys.stderr)
        return 2
    verdict = check(sys.argv[1], int(sys.argv[2]))
    verdict.print()
    return verdict.failed()


if __name__ == "__main__":
    sys.exit(main())
