"""Check digits of cards, bank accounts and national identities, as pure functions over digits.

Called by `identifiers`. Each formula names where it is laid down. Invariant: a function takes any text of the length
that its row promises and answers yes or no; it never raises.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

_VERHOEFF_PRODUCT: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_VERHOEFF_SHUFFLE: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
# Codice fiscale: what a character counts at an odd place (Decreto ministeriale 23 December 1976).
_FISCAL_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def is_luhn(digits: str) -> bool:
    """Luhn, ISO/IEC 7812-1: cards, Canada's SIN, Sweden's personnummer, Israel's and South Africa's identities."""
    odd = sum(map(int, digits[-1::-2]))
    even = sum([(0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[int(digit)] for digit in digits[-2::-2]])
    return (odd + even) % 10 == 0


def is_iban(text: str) -> bool:
    """ISO 13616: letters count 10 to 35, the first four stand last, and the whole is 1 modulo 97."""
    moved = text[4:] + text[:4]
    return moved.isascii() and moved.isalnum() and int("".join([str(int(each, 36)) for each in moved])) % 97 == 1


def is_verhoeff(digits: str) -> bool:
    """Verhoeff's dihedral check: India's Aadhaar."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = _VERHOEFF_SHUFFLE[value]
        check = _VERHOEFF_PRODUCT[check][value]
    return check == 0


def is_iso_7064_mod_11_10(digits: str) -> bool:
    """ISO/IEC 7064 MOD 11,10: Germany's Steuer-ID."""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def is_us_ssn(digits: str) -> bool:
    """United States: no part is zero, no area 666 or from 900 on (Social Security Administration, 2011)."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def is_nhs_number(digits: str) -> bool:
    """United Kingdom, health service: weights 10 to 2 and the check add up to a multiple of 11."""
    return _weighted(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def is_fr_nir(digits: str) -> bool:
    """France: sex, year and month lead 13 digits; the key is 97 less their remainder."""
    return digits[0] in "12" and "01" <= digits[3:5] <= "12" and 97 - int(digits[:13]) % 97 == int(digits[13:])


def is_es_dni(text: str) -> bool:
    """Spain: the letter is told by the number modulo 23; a foreigner's X, Y or Z counts as 0, 1 or 2."""
    number = text[:-1].upper().replace("X", "0").replace("Y", "1").replace("Z", "2")
    return number.isdecimal() and _DNI_LETTERS[int(number) % 23] == text[-1].upper()


def is_it_codice_fiscale(text: str) -> bool:
    """Italy: odd and even places count differently; the last letter is the sum modulo 26."""
    total = 0
    for place, each in enumerate(text[:-1].upper()):
        value = int(each) if each.isdecimal() else ord(each) - ord("A")
        total += value if place % 2 else _FISCAL_ODD[value]
    return ord(text[-1].upper()) - ord("A") == total % 26


def is_nl_bsn(digits: str) -> bool:
    """Netherlands: the test of eleven, in which the last digit counts against."""
    return digits[0:2] != "00" and _weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def is_pl_pesel(digits: str) -> bool:
    """Poland: a date of birth whose month tells the century, and a weighted sum."""
    month = int(digits[2:4]) % 20
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    return 1 <= month <= 12 and "01" <= digits[4:6] <= "31" and _weighted(digits, weights) % 10 == 0


def is_br_cpf(digits: str) -> bool:
    """Brazil: two checks modulo 11, and not one digit throughout."""
    first = _weighted(digits[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = _weighted(digits[:10], range(11, 1, -1)) * 10 % 11 % 10
    return len(set(digits)) > 1 and digits[9:] == f"{first}{second}"


def is_tr_identity(digits: str) -> bool:
    """Turkey: no leading zero; the tenth digit checks odd against even places, the eleventh all before it."""
    places = list(map(int, digits))
    tenth = (7 * sum(places[0:9:2]) - sum(places[1:8:2])) % 10
    return digits[0] != "0" and places[9] == tenth and places[10] == sum(places[:10]) % 10


def is_ru_snils(digits: str) -> bool:
    """Russia, pension insurance: weights 9 to 1, the sum modulo 101, of which 100 counts as 0."""
    return int(digits[:3]) > 1 and _weighted(digits[:9], range(9, 0, -1)) % 101 % 100 == int(digits[9:])


def is_cn_identity(text: str) -> bool:
    """China, GB 11643: a date of birth inside, and the sum modulo 11 told by the last character."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    digits = text[:17]
    return _is_date(digits[6:14]) and "10X98765432"[_weighted(digits, weights) % 11] == text[17].upper()


def is_kr_identity(digits: str) -> bool:
    """Korea: a date of birth leads; those issued before October 2020 also check, so the date has to do."""
    return (
        _is_date({"1": "19", "2": "19", "5": "19", "6": "19"}.get(digits[6], "20") + digits[:6])
        and digits[6] in "12345678"
    )


def is_jp_individual_number(digits: str) -> bool:
    """Japan, My Number: weights 6 to 2 and 7 to 2 (Order of the Ministry of Internal Affairs 85, 2014)."""
    remainder = _weighted(digits[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return int(digits[11]) == (0 if remainder <= 1 else 11 - remainder)


def is_se_identity(digits: str) -> bool:
    """Sweden: a date of birth, and Luhn over ten digits."""
    ten = digits[-10:]
    return "01" <= ten[2:4] <= "12" and "01" <= ten[4:6] <= "31" and is_luhn(ten)


def is_ch_ahv(digits: str) -> bool:
    """Switzerland: 756 leads, and the check is that of EAN-13."""
    return digits.startswith("756") and _weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def is_be_national(digits: str) -> bool:
    """Belgium: 97 less the remainder; a 2 leads for those born from 2000 on."""
    check = int(digits[9:])
    return any(97 - int(century + digits[:9]) % 97 == check for century in ("", "2")) and digits[2:4] <= "12"


def is_pt_nif(digits: str) -> bool:
    """Portugal: weights 9 to 2, 11 less the remainder, of which 10 and 11 count as 0."""
    remainder = _weighted(digits[:8], range(9, 1, -1)) % 11
    return digits[0] in "123" and int(digits[8]) == (0 if remainder < 2 else 11 - remainder)


def is_au_tfn(digits: str) -> bool:
    """Australia, tax file number: the weighted sum is a multiple of 11."""
    return _weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def is_ua_identity(digits: str) -> bool:
    """Ukraine: weights -1, 5, 7, 9, 4, 6, 10, 5, 7, modulo 11 and 10."""
    return _weighted(digits[:9], (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == int(digits[9])


def is_za_identity(digits: str) -> bool:
    """South Africa: a date of birth, a citizenship of 0 to 2, and Luhn."""
    return "01" <= digits[2:4] <= "12" and "01" <= digits[4:6] <= "31" and digits[10] in "012" and is_luhn(digits)


def is_ir_national(digits: str) -> bool:
    """Iran: weights 10 to 2, modulo 11."""
    remainder = _weighted(digits[:9], range(10, 1, -1)) % 11
    return len(set(digits)) > 1 and int(digits[9]) == (remainder if remainder < 2 else 11 - remainder)


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum([int(digit) * weight for digit, weight in zip(digits, weights, strict=True)])


def _is_date(digits: str) -> bool:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return "1900" <= digits[:4] < "2100"
