"""The cases of real sites on which the tool was once wrong: which there are, and that a test holds each of them.

A test says which case it holds by `@pytest.mark.case(17)`; the number stands for a kind, of which this is one sample.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
CASES: dict[int, str] = {
    1: "A host, a database or a jump host without a port is asked at the usual one.",
    2: "What broke after a GO is seen by the gate.",
    3: "The backup taken after the run is the one that the gate judges.",
    4: "The gate lists the backups again, and takes a good one of the night.",
    5: "A login by certificate ends with the certificate.",
    6: "A sudo rule with NOTAFTER ends then.",
    7: "A key with an expiry time ends then, in whichever file sshd finds it.",
    8: "A server's certificate ends with the first of those above it.",
    9: "An application whose own answer says that it is down is down, whatever the plan reads of it.",
    10: "A part that is down is found in the bodies of every version of Spring Boot.",
    11: "Instances that answer differently, or not at all behind one name, are not well.",
    12: "An answer out of a cache says nothing of the application.",
    13: "Two entries of one machine share its storage.",
    14: "A backup is written before an old one is deleted.",
    15: "A plain dump of compressed data is larger than what is stored; a database that grew gives a larger dump.",
    16: "A limit on the size of files below what is needed ends the backup.",
    17: "The login that runs the scripts arrives at the server that was judged.",
    18: "The account that runs psql can read the staged scripts.",
    19: "An include that only psql can resolve is named, a cycle too.",
    20: "A relative path counts from the folder that psql starts in.",
    21: "Room to restore that nobody saw, and a rehearsal that is not credible, are not known.",
    22: "A waiver that is empty, ended or of nothing waives nothing.",
    23: "A plan that leaves out what a release needs says why.",
    24: "A plug-in that hangs ends at the deadline.",
    25: "A script changed together with its manifest is told by its hash.",
    26: "A saved run that cannot be read does not bring an older GO back.",
    27: "A backup of a replica that lags behind is a backup of the past.",
    28: "Staged files are wanted of somebody who is known.",
    29: "A script runs once, in the order that was sealed.",
    30: "A secret that cannot be kept out of the report is not used.",
    31: "A silent host or a slow command costs nobody else an answer.",
    32: "Evidence judged in another folder gives the same verdict.",
    33: "A wrong secret of many hosts is refused once.",
    34: "A password goes to no prompt that asks for something else.",
    35: "A key file that others can read is refused, as ssh refuses it.",
    36: "What this tool cannot do is told as that, with the way round.",
    37: "A jump host that only forwards is well as a way through.",
    38: "A session that ended before a question proves nothing.",
    39: "An agent's certificate logs in.",
    40: "Tokens and quotes of ssh_config mean what they mean to ssh.",
    41: "A client certificate in the usual place logs in.",
    42: "A preliminary HTTP answer is not the answer.",
    43: "Options of sudo that change what it says are read for what they are.",
    44: "An encrypted backup cannot be read here, which does not make it a bad one.",
    45: "A job or a timer that may start later is told with its delay.",
    46: "A start file that breaks batches is named with its path.",
    47: "A clock that is off is that of the machine that shows it, once.",
    48: "Trouble of this machine is told as its own.",
    49: "A host name in known_hosts is trusted as ssh trusts it.",
    50: "Programs in a versioned folder are called where they are.",
    51: "Bytes that are no UTF-8 are read and told.",
    52: "Storage that the plan accepts is not counted twice.",
    53: "Tonight's backup that is written already needs no more room.",
    54: "The time that a secret takes is not the server's.",
    55: "A setting of a database and one of the server each have a cure of their own.",
    56: "Line endings that a site accepts are a warning with a count.",
    57: "A host in another time zone is judged by the right moments.",
    58: "The time that this machine loses is not the server's.",
    59: "The rate of WAL is that of the time which its counters cover.",
    60: "A backup that only its own command can verify is verified by it.",
    61: "The age of a backup is what the backup itself says.",
    62: "A backup of another or an empty database is not this one's.",
    63: "A restore in much less time than the backup is told.",
    64: "A word is found as a word, and a health answer belongs to its application.",
}


def held() -> Iterator[int]:
    """The numbers in all marks of all tests."""
    texts = (path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))
    for text in texts:
        for node in ast.walk(ast.parse(text)) if "mark.case(" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.case":
                yield from (int(ast.unparse(each)) for each in node.args)


def test_a_test_holds_each_case() -> None:
    found = set(held())
    assert found <= set(CASES), "a number that is no case"
    missing = [f"{number}: {told}" for number, told in CASES.items() if number not in found]
    assert not missing, "\n".join(["write a test for these:", *missing])


def test_they_are_numbered_without_a_gap() -> None:
    assert list(CASES) == list(range(1, 65))
