"""Texts that count for more than they look."""

HOSTILE = (
    "\ufdfa" * 50,  # one character of 3 bytes that normalises to 18 characters of 33
    "👩‍👩‍👧‍👦🏳️‍🌈" * 20,
    "汉字漢字かなカナ한국어" * 20,
    "ﬁﬀﬃ" * 50,
    "\U0001f240" * 50,  # outside the basic plane, and it grows
    "e\u0301" * 50,
    "é\u0323" * 50,  # the mark below parts the letter from its accent: 4 bytes become 5
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢" * 20,
    "\\uFDFA\\\\uFDFA" * 20,
    'quotes " and \\ and \n\t\r\b' * 20,
    "\x00\x01\x1f\x7f" * 20,
    "aGVsbG8gd29ybGQ=" * 40,
    "a" * 5_000,
    " " * 500,
    "؟عربي ‮rtl‬" * 20,
)
