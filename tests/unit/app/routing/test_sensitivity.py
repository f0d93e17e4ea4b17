"""What a request holds that a policy may keep to some models, in whatever language and wherever it stands."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing import Evidence, Sensitivity, SensitivityUnknown
from app.routing.sensitivity import sensitivity_of
from tests.unit.app.routing.builders import make_facts

S = Sensitivity
PLAIN = (
    "Write a Python function that merges two sorted lists.",
    "Translate to French: where is the station?",
    "What is the capital of Australia?",
    "Schreibe ein Gedicht über den Herbst.",
    "Resume este artículo sobre la historia de Roma en dos frases.",
    "請幫我把這句話翻成英文：今天天氣很好。",
    "Напиши короткий рассказ о море.",
    "Set max_tokens to 4096 and temperature to 0.7, version 1.2.3.4, build 20261124.",
    "def password_field(password: str) -> None: ...",
    'const token = process.env.API_TOKEN; const password = "";',
    "The server listens on 127.0.0.1 and 192.168.0.12.",
)


def flags_of(text: str, **facts: Any) -> dict[str, Evidence]:
    return {flag.value: flag for flag in sensitivity_of(make_facts(text, **facts))}


def flags_in(*messages: dict[str, Any], ensure_ascii: bool = False, **fields: Any) -> dict[str, Evidence]:
    content = json.dumps({"model": "auto", "messages": messages, **fields}, ensure_ascii=ensure_ascii).encode()
    return flags_of("Summarize.", content=content)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_prompts_carry_no_flag(text: str) -> None:
    assert flags_of(text) == {}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jane.doe+x@mail.example.org today", "e-mail address"),
        ("schreib an müller@büro.de", "e-mail address"),
        ("call +49 171 2345678 please", "telephone number"),
        ("my phone is 0171 2345678", "telephone number"),
        ("ring (415) 555-2671", "telephone number"),
        ("pay with 4111 1111 1111 1111", "payment card"),
        ("amex 3782-822463-10005", "payment card"),
        ("IBAN: DE89 3704 0044 0532 0130 00", "IBAN"),
        ("nl91abna0417164300", "IBAN"),
        ("SSN 536-90-4399", "US social security number"),
        ("NHS number 943 476 5919", "UK health service number"),
        ("Steuer-ID 86 095 742 719", "German tax id"),
        ("sécu 1 85 05 78 006 084 91", "French social security number"),
        ("DNI 12345678Z", "Spanish identity number"),
        ("RSSMRA85T10A562S", "Italian tax code"),
        ("mijn BSN is 111222333", "US social security number"),
        ("PESEL 44051401359", "Polish identity number"),
        ("CPF 111.444.777-35", "Brazilian tax number"),
        ("TC kimlik 10000000146", "Turkish identity number"),
        ("СНИЛС 112-233-445 95", "Russian pension insurance number"),
        ("身份证 11010519491231002X", "Chinese identity number"),
        ("Aadhaar 2341 2341 2346", "Indian Aadhaar number"),
        ("주민등록번호 900101-1234568", "Korean resident number"),
        ("personnummer 811218-9876", "Swedish identity number"),
        ("AHV 756.9217.0769.85", "Swiss insurance number"),
        ("NI number AB123456C", "UK national insurance number"),
        ("passport number C01234567", "passport or licence number"),
        ("she was born on 12 March 1985", "date of birth"),
        ("geboren am 12.03.1985", "date of birth"),
        ("né le 12/03/1985", "date of birth"),
        ("1985年3月12日生まれ", "date of birth"),
        ("they live at 12 Main Street", "street address"),
        ("wohnt Musterstraße 12", "street address"),
        ("habite 5 rue de la Paix", "street address"),
        ("ul. Marszałkowska 10", "street address"),
        ("the client at 81.2.69.142 logged in", "IP address"),
        ("٤١١١ ١١١١ ١١١١ ١١١١", "payment card"),
    ],
)
def test_identifiers_are_told_by_their_checks(text: str, kind: str) -> None:
    flag = flags_of(text)[S.PERSONAL_DATA]
    assert kind in flag.because
    assert flag.decided_by == "structure"


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "DE89 3704 0044 0532 0130 01",
        "ref 12345678A",
        "11010519491231002Y",
        "item 111.444.777-36",
        "order 100000001",
    ],
)
def test_identifiers_that_do_not_check_are_none(text: str) -> None:
    assert S.PERSONAL_DATA not in flags_of(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("use sk-proj-abcdefghijklmnop1234567890", "API key"),
        ("AKIAIOSFODNN7EXAMPLE", "AWS access key"),
        ("ghp_" + "a1" * 18, "GitHub token"),
        ("xoxb-1234567890-abcdefghijkl", "Slack token"),
        ("sbx_live_" + "a1" * 12, "Signalbox key"),
        ("AIza" + "Sy1" * 11 + "ab", "Google API key"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig", "JSON web token"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", "private key"),
        ("postgres://app:s3cret@db/app", "password in an address"),
        ("my password is hunter2", "password"),
        ("Das Passwort lautet Sommer2024", "password"),
        ("mot de passe : Soleil99!", "password"),
        ("contraseña: Luna#77", "password"),
        ("пароль: qwerty12", "password"),
        ("密码是abc12345", "password"),
        ("パスワードは abc12345 です", "password"),
        ("비밀번호: abc12345", "password"),
        ('password = "correct horse"', "password"),
    ],
)
def test_credentials_are_told_by_format_or_word(text: str, kind: str) -> None:
    assert kind in flags_of(text)[S.CREDENTIALS].because


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        (S.HEALTH_DATA, "My doctor says I have diabetes."),
        (S.HEALTH_DATA, "Bei mir wurde Krebs diagnostiziert."),
        (S.HEALTH_DATA, "Ma fille a de l'asthme."),
        (S.HEALTH_DATA, "Mi madre tiene cancer de pulmon."),
        (S.HEALTH_DATA, "Mio padre ha avuto un ictus."),
        (S.HEALTH_DATA, "Minha esposa está grávida."),
        (S.HEALTH_DATA, "Ik heb een depressie."),
        (S.HEALTH_DATA, "Mam cukrzycę."),
        (S.HEALTH_DATA, "Annem kanser hastası."),
        (S.HEALTH_DATA, "У меня депрессия."),
        (S.HEALTH_DATA, "عندي مرض السكري"),
        (S.HEALTH_DATA, "मुझे मधुमेह है"),
        (S.HEALTH_DATA, "我有糖尿病"),
        (S.HEALTH_DATA, "私は糖尿病です"),
        (S.HEALTH_DATA, "저는 우울증이 있어요"),
        (S.MEDICAL_ADVICE, "Should I take ibuprofen with warfarin?"),
        (S.MEDICAL_ADVICE, "Wie viele Tabletten Paracetamol darf ich nehmen?"),
        (S.MEDICAL_ADVICE, "Quelle dose d'antibiotiques pour un enfant ?"),
        (S.MEDICAL_ADVICE, "¿Puedo tomar paracetamol si estoy embarazada?"),
        (S.MEDICAL_ADVICE, "Можно ли принимать ибупрофен?"),
        (S.MEDICAL_ADVICE, "头痛应该吃什么药？"),
        (S.MEDICAL_ADVICE, "頭痛がひどいです。病院に行くべきですか"),
        (S.LEGAL_ADVICE, "Can I sue my landlord for the deposit?"),
        (S.LEGAL_ADVICE, "Darf ich die Miete kürzen, wenn der Vertrag es verbietet?"),
        (S.LEGAL_ADVICE, "Puis-je contester mon licenciement ?"),
        (S.LEGAL_ADVICE, "¿Puedo denunciar a mi casero?"),
        (S.LEGAL_ADVICE, "Posso fare causa al mio datore di lavoro?"),
        (S.LEGAL_ADVICE, "Kan ik ontslagen worden tijdens ziekte?"),
        (S.LEGAL_ADVICE, "Могу ли я подать в суд на арендодателя?"),
        (S.LEGAL_ADVICE, "房东不退押金怎么办？"),
        (S.LEGAL_ADVICE, "解雇されました。訴えることはできますか"),
        (S.FINANCIAL_ADVICE, "Should I put my savings in index funds?"),
        (S.FINANCIAL_ADVICE, "Soll ich jetzt Aktien kaufen?"),
        (S.FINANCIAL_ADVICE, "Dois-je rembourser mon crédit d'abord ?"),
        (S.FINANCIAL_ADVICE, "¿Conviene invertir en bitcoin?"),
        (S.FINANCIAL_ADVICE, "Стоит ли брать ипотеку сейчас?"),
        (S.FINANCIAL_ADVICE, "现在应该买股票吗？"),
        (S.SELF_HARM, "I don't want to live anymore"),
        (S.SELF_HARM, "Ich will nicht mehr leben und möchte sterben"),
        (S.SELF_HARM, "j'ai envie de mourir"),
        (S.SELF_HARM, "quiero morirme"),
        (S.SELF_HARM, "voglio farla finita"),
        (S.SELF_HARM, "quero morrer"),
        (S.SELF_HARM, "ik wil dood"),
        (S.SELF_HARM, "chcę umrzeć"),
        (S.SELF_HARM, "İntihar etmek istiyorum"),
        (S.SELF_HARM, "хочу умереть"),
        (S.SELF_HARM, "أريد أن أموت"),
        (S.SELF_HARM, "मैं मरना चाहता हूँ"),
        (S.SELF_HARM, "我不想活了"),
        (S.SELF_HARM, "もう死にたい"),
        (S.SELF_HARM, "죽고 싶어요"),
        (S.MINORS, "My 9 year old boy is bullied at school by other kids."),
        (S.MINORS, "Meine Tochter ist minderjährig."),
        (S.MINORS, "un mineur de 15 ans"),
        (S.MINORS, "una niña de siete años"),
        (S.MINORS, "несовершеннолетний подросток"),
        (S.MINORS, "一个未成年的孩子"),
        (S.MINORS, "未成年の子供"),
    ],
)
def test_topics_are_told_in_many_languages(flag: Sensitivity, text: str) -> None:
    assert flag in flags_of(text)
    assert flag in flags_of(text.upper())


CARD = "4111111111111111"
IBAN = "DE89370400440532013000"


@pytest.mark.parametrize("ensure_ascii", [False, True])
@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": "Der Kunde heißt Müller.\nKonto: " + IBAN + "\tEnde"},
        {"role": "assistant", "tool_calls": [{"function": {"arguments": json.dumps({"to": f"Müller {IBAN}"})}}]},
        {"role": "tool", "content": json.dumps({"rows": json.dumps([{"note": f"Müller\n{IBAN}"}])})},
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": IBAN}]},
        {"role": "user", "content": "lorem ipsum " * 9_000 + IBAN + " lorem ipsum" * 9_000},
    ],
    ids=["system", "tool call", "tool result", "part", "middle of a long text"],
)  # fmt: skip
def test_all_text_of_a_request_is_read(message: dict[str, Any], ensure_ascii: bool) -> None:
    assert "IBAN" in flags_in(message, ensure_ascii=ensure_ascii)[S.PERSONAL_DATA].because


@pytest.mark.parametrize("offset", range(0, 300, 23))
def test_a_part_ends_within_nothing(offset: int) -> None:
    text = "x " * ((32_768 - offset) // 2) + f" {CARD} " + "x " * 40_000
    assert S.PERSONAL_DATA in flags_of(text)


def test_a_repeated_key_hides_nothing() -> None:
    content = b'{"messages":[{"role":"user","content":"my card is 4111111111111111","content":"hi"}]}'
    assert S.PERSONAL_DATA in flags_of("hi", content=content)


def test_a_medium_is_not_read_as_text() -> None:
    payload = "SGVsbG8" * 100 + "4111111111111111" + "SGVsbG8" * 100
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{payload}"}}
    assert flags_in({"role": "user", "content": [image]}) == {}
    source = {"type": "base64", "media_type": "image/png", "data": payload}
    assert flags_in({"role": "user", "content": [{"type": "image", "source": source}]}) == {}


def test_text_beside_a_medium_is_read() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 100}}
    text = {"type": "text", "text": f"data:image/png;base64, {CARD}"}
    assert S.PERSONAL_DATA in flags_in({"role": "user", "content": [image, text]})


def test_caller_adds_flags_and_takes_none_away() -> None:
    added = flags_of("hi", tags=("sensitivity:minors",), metadata={"sensitivity": "legal_advice, self_harm"})
    assert set(added) == {S.MINORS, S.LEGAL_ADVICE, S.SELF_HARM}
    assert {flag.decided_by for flag in added.values()} == {"tag"}
    for said in ("", "minors"):
        assert S.PERSONAL_DATA in flags_of(f"card {CARD}", metadata={"sensitivity": said})


@pytest.mark.parametrize("said", [{"metadata": {"sensitivity": "none"}}, {"tags": ("sensitivity:helth_data",)}])
def test_a_flag_that_does_not_exist_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(SensitivityUnknown, match="Use one of personal_data, health_data"):
        flags_of("hi", **said)


def test_domain_of_the_classifier_speaks_for_advice() -> None:
    told = Evidence(value="legal", confidence=0.7, decided_by="classifier", because="the classifier")
    flags = {flag.value: flag for flag in sensitivity_of(make_facts("hm"), told)}
    assert (flags[S.LEGAL_ADVICE].confidence, flags[S.LEGAL_ADVICE].decided_by) == (0.7, "classifier")


SECRETS = st.sampled_from(
    ["jane.doe@mail.example", "4111111111111111", "DE89370400440532013000", "sk-abcdefghij1234567890", "hunter2secret"]
)


@given(st.lists(SECRETS, min_size=1, max_size=5), st.text(max_size=80))
def test_nothing_that_was_found_is_repeated(secrets: list[str], text: str) -> None:
    flags = flags_of(f"{text} password: {' '.join(secrets)} born 12.03.1985")
    told = json.dumps([flag.because for flag in flags.values()])
    assert not any(secret in told for secret in secrets)
    assert "12.03.1985" not in told


@given(st.text(max_size=300), st.binary(max_size=300))
def test_any_text_and_any_bytes_are_read(text: str, content: bytes) -> None:
    for facts in (
        make_facts(text),
        make_facts("", content=content),
        make_facts("", content=text.encode(errors="replace")),
    ):
        flags = sensitivity_of(facts)
        assert [flag.value for flag in flags] == [name for name in S if name in {flag.value for flag in flags}]
        assert all(0 < flag.confidence <= 1 for flag in flags)
        assert sensitivity_of(facts) == flags


@given(st.sampled_from('0123456789 .-+@:/eyJsk_\\"nu'), st.integers(1, 3))
def test_text_made_to_be_slow_is_read(character: str, width: int) -> None:
    sensitivity_of(make_facts((character * width + "1 ") * 2_000))
