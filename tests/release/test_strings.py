"""The prefix tree finds what a plain alternation finds."""

import re

from hypothesis import given
from hypothesis import strategies as st

from workbench.privacy.trie import any_of

words = st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=12)
few = st.lists(st.sampled_from([b"a", b"ab", b"abc", b"b", b"bc", b"(", b"a.", b"\xce\xb1"]), min_size=1)


@given(words | few, st.binary(max_size=40) | few.map(b" ".join))
def test_finds_what_a_plain_alternation_finds(strings, data):
    tree = re.compile(rb"(?<!\w)" + any_of(strings) + rb"(?!\w)", re.DOTALL)
    ordered = sorted(set(strings), key=len, reverse=True)
    plain = re.compile(rb"(?<!\w)(?:" + b"|".join(map(re.escape, ordered)) + rb")(?!\w)", re.DOTALL)
    assert [m.span() for m in tree.finditer(data)] == [m.span() for m in plain.finditer(data)]


@given(words | few)
def test_matches_each_string_whole(strings):
    tree = re.compile(any_of(strings), re.DOTALL)
    assert all(tree.fullmatch(string) for string in strings)
