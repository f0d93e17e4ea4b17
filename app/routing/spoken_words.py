"""Words that people use for what conditions compare: rows read by `spoken`. Plural and case do not matter.

A phrase of several words stands before its parts. What a tenant's policy defines as tasks is added by name.
"""

from collections.abc import Mapping
from typing import Final

from app.routing.taxonomy import Domain, Sensitivity, Task

TASK_WORDS: Final[Mapping[Task, str]] = {
    Task.CODE_GENERATION: "code, coding, programming, code generation, writing code, scripts",
    Task.CODE_DEBUGGING: "debugging, bugs, bug fixes, bug fixing, code debugging, stack traces",
    Task.MATH_REASONING: "math, maths, mathematics, math reasoning, calculations, proofs",
    Task.DATA_ANALYSIS: "data analysis, analytics, spreadsheets, sql",
    Task.SUMMARIZATION: "summaries, summary, summarization, summarizing, summarisation, summarising",
    Task.TRANSLATION: "translation, translations, translating",
    Task.EXTRACTION: "extraction, extracting, data extraction",
    Task.CLASSIFICATION: "classification, classifying, labelling, labeling, sentiment",
    Task.REWRITING: "rewriting, rewrites, paraphrasing, proofreading, grammar, editing",
    Task.CREATIVE_WRITING: "creative writing, stories, poems, poetry, fiction",
    Task.MARKETING_COPY: "marketing copy, ad copy, ads, headlines, slogans, taglines",
    Task.PROFESSIONAL_WRITING: "professional writing, emails, reports, white papers, letters, business writing",
    Task.BRAINSTORMING: "brainstorming, ideas",
    Task.PLANNING: "planning, plans, schedules, itineraries",
    Task.OPEN_QA: "general knowledge, open questions, trivia, open qa",
    Task.CLOSED_QA: "closed questions, questions about documents, document questions, rag answers, closed qa",
    Task.CUSTOMER_SUPPORT: "customer support, support, customer service, help desk, support tickets",
    Task.SMALL_TALK: "small talk, chit chat, chitchat, greetings",
    Task.ASSISTANT_COMMAND: "assistant commands, voice commands, commands, reminders",
}
DOMAIN_WORDS: Final[Mapping[Domain, str]] = {
    Domain.SOFTWARE: "software, software engineering, technical",
    Domain.MATH: "mathematical",
    Domain.DATA: "data science",
    Domain.LEGAL: "legal, law, contracts, lawyers",
    Domain.MEDICAL: "medical, medicine, health, healthcare, patients, clinical",
    Domain.FINANCE: "finance, financial, banking, accounting, tax, taxes, investment",
    Domain.EDUCATION: "education, educational, teaching, homework",
    Domain.SCIENCE: "science, scientific",
    Domain.HR: "hr, human resources, recruiting, hiring",
    Domain.MARKETING: "marketing",
    Domain.TRAVEL: "travel, trips, hotels, flights",
}
SENSITIVITY_WORDS: Final[Mapping[Sensitivity, str]] = {
    Sensitivity.PERSONAL_DATA: "personal data, pii, personally identifiable information",
    Sensitivity.HEALTH_DATA: "health data, patient data",
    Sensitivity.CREDENTIALS: "credentials, passwords, secrets, api keys",
    Sensitivity.LEGAL_ADVICE: "legal advice",
    Sensitivity.MEDICAL_ADVICE: "medical advice",
    Sensitivity.FINANCIAL_ADVICE: "financial advice",
    Sensitivity.SELF_HARM: "self harm, suicide",
    Sensitivity.MINORS: "minors, children",
}
LANGUAGE_WORDS: Final[Mapping[str, str]] = {
    "ar": "arabic", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "fi": "finnish", "fr": "french", "he": "hebrew", "hi": "hindi", "hu": "hungarian", "id": "indonesian",
    "it": "italian", "ja": "japanese", "ko": "korean", "nl": "dutch", "pl": "polish", "pt": "portuguese",
    "ru": "russian", "sv": "swedish", "th": "thai", "tr": "turkish", "uk": "ukrainian", "vi": "vietnamese",
    "zh": "chinese",
}  # fmt: skip
LONG_INPUT_TOKENS: Final = 8_000
SHORT_INPUT_TOKENS: Final = 500
# Said around what matters, and free of meaning for a route.
FILLERS: Final = frozenset(
    {
        "a", "all", "an", "and", "any", "anything", "asks", "asked", "asking", "about", "are", "be", "by",
        "conversations", "every", "everything", "for", "from", "in", "is", "it", "its", "kind", "kinds", "like",
        "matters", "messages", "my", "of", "on", "or", "our", "prompts", "queries", "questions", "question",
        "request", "requests", "related", "sort", "stuff", "such", "tasks", "task", "text", "texts", "that", "the",
        "their", "these", "things", "this", "those", "topics", "to", "traffic", "type", "user", "users", "we",
        "which", "with", "work", "written",
    }
)  # fmt: skip
VERBS: Final = frozenset(
    {
        "route", "send", "use", "give", "direct", "forward", "take", "let", "put", "pass", "keep", "hold", "go",
        "goes", "should", "must", "be", "sent", "routed",
    }
)  # fmt: skip
EVERYTHING_ELSE: Final = frozenset(
    {"everything else", "all else", "anything else", "the rest", "rest", "other requests"}
)
