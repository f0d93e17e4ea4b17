"""The tasks and domains that routing knows, as rows. Read by classification, policies and the console.

A tenant adds tasks of its own through its policy's keywords; the rows here are what everybody has.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Task(StrEnum):
    """What a request asks a model to do."""

    CODE_GENERATION = "code_generation"
    CODE_DEBUGGING = "code_debugging"
    MATH_REASONING = "math_reasoning"
    DATA_ANALYSIS = "data_analysis"
    SUMMARIZATION = "summarization"
    TRANSLATION = "translation"
    EXTRACTION = "extraction"
    CLASSIFICATION = "classification"
    REWRITING = "rewriting"
    CREATIVE_WRITING = "creative_writing"
    MARKETING_COPY = "marketing_copy"
    PROFESSIONAL_WRITING = "professional_writing"
    BRAINSTORMING = "brainstorming"
    PLANNING = "planning"
    OPEN_QA = "open_qa"
    CLOSED_QA = "closed_qa"
    CUSTOMER_SUPPORT = "customer_support"
    SMALL_TALK = "small_talk"
    ASSISTANT_COMMAND = "assistant_command"


class Domain(StrEnum):
    """What a request is about."""

    GENERAL = "general"
    SOFTWARE = "software"
    MATH = "math"
    DATA = "data"
    LEGAL = "legal"
    MEDICAL = "medical"
    FINANCE = "finance"
    EDUCATION = "education"
    SCIENCE = "science"
    HR = "hr"
    MARKETING = "marketing"
    TRAVEL = "travel"


class Sensitivity(StrEnum):
    """What a request holds or asks for that a policy may want to keep to some models."""

    PERSONAL_DATA = "personal_data"
    HEALTH_DATA = "health_data"
    CREDENTIALS = "credentials"
    LEGAL_ADVICE = "legal_advice"
    MEDICAL_ADVICE = "medical_advice"
    FINANCIAL_ADVICE = "financial_advice"
    SELF_HARM = "self_harm"
    MINORS = "minors"


class Rag(StrEnum):
    """The part that a request plays in retrieval-augmented generation."""

    NONE = "none"
    RETRIEVAL = "retrieval"  # it asks for search queries, or for an order of what was found
    ANSWER = "answer"  # it brings passages and a question to be answered from them


# What a domain is when no word tells it: some tasks have one of their own.
DOMAIN_OF_TASK: Final[Mapping[str, Domain]] = {
    Task.CODE_GENERATION: Domain.SOFTWARE,
    Task.CODE_DEBUGGING: Domain.SOFTWARE,
    Task.MATH_REASONING: Domain.MATH,
    Task.DATA_ANALYSIS: Domain.DATA,
    Task.MARKETING_COPY: Domain.MARKETING,
}

# Output tokens that a usual answer has: what an estimate of cost assumes, never what is reserved.
TYPICAL_OUTPUT_TOKENS: Final[Mapping[str, int]] = {
    Task.CODE_GENERATION: 500,
    Task.CODE_DEBUGGING: 500,
    Task.MATH_REASONING: 400,
    Task.DATA_ANALYSIS: 400,
    Task.SUMMARIZATION: 200,
    Task.TRANSLATION: 150,
    Task.EXTRACTION: 150,
    Task.CLASSIFICATION: 30,
    Task.REWRITING: 200,
    Task.CREATIVE_WRITING: 800,
    Task.MARKETING_COPY: 500,
    Task.PROFESSIONAL_WRITING: 800,
    Task.BRAINSTORMING: 400,
    Task.PLANNING: 800,
    Task.OPEN_QA: 200,
    Task.CLOSED_QA: 100,
    Task.CUSTOMER_SUPPORT: 150,
    Task.SMALL_TALK: 50,
    Task.ASSISTANT_COMMAND: 50,
}
TYPICAL_OUTPUT_TOKENS_ELSE: Final = 300  # of a task that a tenant defined
