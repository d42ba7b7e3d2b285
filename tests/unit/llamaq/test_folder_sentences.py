import errno
from pathlib import Path

import pytest

from llamaq.folder_sentences import sentence


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EROFS, "Read-only file system", "/d/x"), "can't use /d/x (Read-only"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "no space is left to write /d: free some"),
        (OSError("16 requested and 13 written"), "can't write to /d (16 requested"),
        (TimeoutError(), "an answer did not come in time"),
    ],
)
def test_each_fault_says_where_and_what_to_do(error: OSError, said: str) -> None:
    assert said in sentence(error, Path("/d"))
