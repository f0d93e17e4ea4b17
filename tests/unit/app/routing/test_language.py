"""The language of a prompt: by script, then by words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing.language import WORDS_KEPT_MAX, load_identifier
from app.routing.reading import read_prompt

SHIPPED = load_identifier()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("What is the difference between a cat and a dog?", "en"),
        ("Was ist der Unterschied zwischen einer Katze und einem Hund?", "de"),
        ("Quelle est la différence entre un chat et un chien ?", "fr"),
        ("¿Cuál es la diferencia entre un gato y un perro?", "es"),
        ("Qual è la differenza tra un gatto e un cane?", "it"),
        ("Qual é a diferença entre um gato e um cão?", "pt"),
        ("Wat is het verschil tussen een kat en een hond?", "nl"),
        ("Vad är skillnaden mellan en katt och en hund?", "sv"),
        ("Hvad er forskellen mellem en kat og en hund, og hvad bruger man dem til?", "da"),
        ("Jaki jest różnica między kotem a psem?", "pl"),
        ("Jaký je rozdíl mezi kočkou a psem?", "cs"),
        ("Mikä on kissan ja koiran ero, ja miten sen voi kertoa lapselle?", "fi"),
        ("Kedi ile köpek arasındaki fark nedir?", "tr"),
        ("Sự khác biệt giữa mèo và chó là gì?", "vi"),
        ("Apa perbedaan antara kucing dan anjing?", "id"),
        ("В чём разница между кошкой и собакой?", "ru"),
        ("Яка різниця між котом і собакою?", "uk"),
        ("ما الفرق بين القط والكلب؟", "ar"),
        ("بلی اور کتے میں کیا فرق ہے؟", "ur"),
        ("बिल्ली और कुत्ते में क्या अंतर है?", "hi"),
        ("猫和狗有什么区别？", "zh"),
        ("猫と犬の違いは何ですか？", "ja"),
        ("고양이와 개의 차이는 무엇인가요?", "ko"),
        ("แมวกับหมาต่างกันอย่างไร", "th"),
        ("Ποια είναι η διαφορά ανάμεσα στη γάτα και τον σκύλο;", "el"),
        ("מה ההבדל בין חתול לכלב?", "he"),
    ],
)
def test_plain_questions_are_told(text: str, code: str) -> None:
    assert SHIPPED.identify(read_prompt(text)).code == code


def test_quoted_characters_of_another_script_do_not_decide() -> None:
    assert SHIPPED.identify(read_prompt("What does the word 猫 mean, and how is it written?")).code == "en"


def test_code_does_not_hide_the_language_around_it() -> None:
    text = "Почему этот код падает с ошибкой?\n\ndef area(radius):\n    return 3.14 * radius * radiuss"
    assert SHIPPED.identify(read_prompt(text)).code == "ru"


@pytest.mark.parametrize("text", ["", "12 + 4 = ?", "🙂🙂", "\ud800"])
def test_text_without_letters_is_told_unsurely(text: str) -> None:
    assert SHIPPED.identify(read_prompt(text)).confidence < 0.5


@given(st.text(max_size=1_200))
def test_any_text_has_a_language(text: str) -> None:
    said = SHIPPED.identify(read_prompt(text))
    assert len(said.code) == 2
    assert 0 < said.confidence <= 1


def test_memory_of_words_is_bounded_and_changes_no_answer() -> None:
    identifier = load_identifier()
    reading = read_prompt("Wat is het verschil tussen een kat en een hond?")
    before = identifier.identify(reading)
    for start in range(0, WORDS_KEPT_MAX * 2, 50):
        identifier.identify(read_prompt(" ".join(f"wo{number}rd" for number in range(start, start + 50))))
    assert identifier.identify(reading) == before
    assert identifier.words_kept <= WORDS_KEPT_MAX + 60
