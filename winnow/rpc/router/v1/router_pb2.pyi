from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QuoteRequest(_message.Message):
    __slots__ = ("template", "template_version", "mode", "k")
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    template: str
    template_version: int
    mode: str
    k: int
    def __init__(self, template: _Optional[str] = ..., template_version: _Optional[int] = ..., mode: _Optional[str] = ..., k: _Optional[int] = ...) -> None: ...

class QuoteResponse(_message.Message):
    __slots__ = ("expected_cost_usd_micro", "cheapest_cost_usd_micro", "candidates_expected", "cost_cap_default_usd_micro")
    EXPECTED_COST_USD_MICRO_FIELD_NUMBER: _ClassVar[int]
    CHEAPEST_COST_USD_MICRO_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_EXPECTED_FIELD_NUMBER: _ClassVar[int]
    COST_CAP_DEFAULT_USD_MICRO_FIELD_NUMBER: _ClassVar[int]
    expected_cost_usd_micro: int
    cheapest_cost_usd_micro: int
    candidates_expected: int
    cost_cap_default_usd_micro: int
    def __init__(self, expected_cost_usd_micro: _Optional[int] = ..., cheapest_cost_usd_micro: _Optional[int] = ..., candidates_expected: _Optional[int] = ..., cost_cap_default_usd_micro: _Optional[int] = ...) -> None: ...

class OfferingsRequest(_message.Message):
    __slots__ = ("capability",)
    CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    capability: str
    def __init__(self, capability: _Optional[str] = ...) -> None: ...

class OfferingsResponse(_message.Message):
    __slots__ = ("offerings",)
    OFFERINGS_FIELD_NUMBER: _ClassVar[int]
    offerings: _containers.RepeatedCompositeFieldContainer[Offering]
    def __init__(self, offerings: _Optional[_Iterable[_Union[Offering, _Mapping]]] = ...) -> None: ...

class Offering(_message.Message):
    __slots__ = ("offering", "provider", "model", "model_version", "capabilities", "price_usd_micro", "breaker", "success_rate_ppm", "pass_rate_ppm", "latency_ms", "in_flight", "concurrency_limit", "drained")
    OFFERING_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    PRICE_USD_MICRO_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_RATE_PPM_FIELD_NUMBER: _ClassVar[int]
    PASS_RATE_PPM_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    offering: str
    provider: str
    model: str
    model_version: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    price_usd_micro: int
    breaker: str
    success_rate_ppm: int
    pass_rate_ppm: int
    latency_ms: int
    in_flight: int
    concurrency_limit: int
    drained: bool
    def __init__(self, offering: _Optional[str] = ..., provider: _Optional[str] = ..., model: _Optional[str] = ..., model_version: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ..., price_usd_micro: _Optional[int] = ..., breaker: _Optional[str] = ..., success_rate_ppm: _Optional[int] = ..., pass_rate_ppm: _Optional[int] = ..., latency_ms: _Optional[int] = ..., in_flight: _Optional[int] = ..., concurrency_limit: _Optional[int] = ..., drained: _Optional[bool] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("offering", "drained")
    OFFERING_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    offering: str
    drained: bool
    def __init__(self, offering: _Optional[str] = ..., drained: _Optional[bool] = ...) -> None: ...

class DrainResponse(_message.Message):
    __slots__ = ("offering",)
    OFFERING_FIELD_NUMBER: _ClassVar[int]
    offering: Offering
    def __init__(self, offering: _Optional[_Union[Offering, _Mapping]] = ...) -> None: ...

class QueuePositionRequest(_message.Message):
    __slots__ = ("task_id", "account_id")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    account_id: str
    def __init__(self, task_id: _Optional[str] = ..., account_id: _Optional[str] = ...) -> None: ...

class QueuePositionResponse(_message.Message):
    __slots__ = ("position", "waiting_total")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    WAITING_TOTAL_FIELD_NUMBER: _ClassVar[int]
    position: int
    waiting_total: int
    def __init__(self, position: _Optional[int] = ..., waiting_total: _Optional[int] = ...) -> None: ...
