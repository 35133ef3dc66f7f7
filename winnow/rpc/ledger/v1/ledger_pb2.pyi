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
    __slots__ = ("price_per_output_credits_micro", "reserve_credits_micro", "price_rule")
    PRICE_PER_OUTPUT_CREDITS_MICRO_FIELD_NUMBER: _ClassVar[int]
    RESERVE_CREDITS_MICRO_FIELD_NUMBER: _ClassVar[int]
    PRICE_RULE_FIELD_NUMBER: _ClassVar[int]
    price_per_output_credits_micro: int
    reserve_credits_micro: int
    price_rule: str
    def __init__(self, price_per_output_credits_micro: _Optional[int] = ..., reserve_credits_micro: _Optional[int] = ..., price_rule: _Optional[str] = ...) -> None: ...

class BalanceRequest(_message.Message):
    __slots__ = ("account_id",)
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    def __init__(self, account_id: _Optional[str] = ...) -> None: ...

class BalanceResponse(_message.Message):
    __slots__ = ("account_id", "available_credits_micro", "held_credits_micro", "settled_credits_micro", "grants")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_CREDITS_MICRO_FIELD_NUMBER: _ClassVar[int]
    HELD_CREDITS_MICRO_FIELD_NUMBER: _ClassVar[int]
    SETTLED_CREDITS_MICRO_FIELD_NUMBER: _ClassVar[int]
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    available_credits_micro: int
    held_credits_micro: int
    settled_credits_micro: int
    grants: _containers.RepeatedCompositeFieldContainer[Grant]
    def __init__(self, account_id: _Optional[str] = ..., available_credits_micro: _Optional[int] = ..., held_credits_micro: _Optional[int] = ..., settled_credits_micro: _Optional[int] = ..., grants: _Optional[_Iterable[_Union[Grant, _Mapping]]] = ...) -> None: ...

class Grant(_message.Message):
    __slots__ = ("grant_id", "source", "granted_credits_micro", "left_credits_micro", "expires_at")
    GRANT_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    GRANTED_CREDITS_MICRO_FIELD_NUMBER: _ClassVar[int]
    LEFT_CREDITS_MICRO_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    grant_id: str
    source: str
    granted_credits_micro: int
    left_credits_micro: int
    expires_at: str
    def __init__(self, grant_id: _Optional[str] = ..., source: _Optional[str] = ..., granted_credits_micro: _Optional[int] = ..., left_credits_micro: _Optional[int] = ..., expires_at: _Optional[str] = ...) -> None: ...

class StatementRequest(_message.Message):
    __slots__ = ("account_id", "limit", "cursor")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    limit: int
    cursor: str
    def __init__(self, account_id: _Optional[str] = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class StatementResponse(_message.Message):
    __slots__ = ("entries", "next_cursor")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    next_cursor: str
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("entry_id", "kind", "occurred_at", "amount_credits_micro", "task_id", "reservation_id", "reason", "available_credits_micro", "held_credits_micro", "postings", "grant_id")
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_CREDITS_MICRO_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_CREDITS_MICRO_FIELD_NUMBER: _ClassVar[int]
    HELD_CREDITS_MICRO_FIELD_NUMBER: _ClassVar[int]
    POSTINGS_FIELD_NUMBER: _ClassVar[int]
    GRANT_ID_FIELD_NUMBER: _ClassVar[int]
    entry_id: str
    kind: str
    occurred_at: str
    amount_credits_micro: int
    task_id: str
    reservation_id: str
    reason: str
    available_credits_micro: int
    held_credits_micro: int
    postings: _containers.RepeatedCompositeFieldContainer[Posting]
    grant_id: str
    def __init__(self, entry_id: _Optional[str] = ..., kind: _Optional[str] = ..., occurred_at: _Optional[str] = ..., amount_credits_micro: _Optional[int] = ..., task_id: _Optional[str] = ..., reservation_id: _Optional[str] = ..., reason: _Optional[str] = ..., available_credits_micro: _Optional[int] = ..., held_credits_micro: _Optional[int] = ..., postings: _Optional[_Iterable[_Union[Posting, _Mapping]]] = ..., grant_id: _Optional[str] = ...) -> None: ...

class ListEntriesRequest(_message.Message):
    __slots__ = ("account_id", "limit", "after_entry_id")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    limit: int
    after_entry_id: str
    def __init__(self, account_id: _Optional[str] = ..., limit: _Optional[int] = ..., after_entry_id: _Optional[str] = ...) -> None: ...

class ListEntriesResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ...) -> None: ...

class ListTaskEntriesRequest(_message.Message):
    __slots__ = ("account_id", "task_id")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    task_id: str
    def __init__(self, account_id: _Optional[str] = ..., task_id: _Optional[str] = ...) -> None: ...

class ListTaskEntriesResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    def __init__(self, entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ...) -> None: ...

class FindEntryRequest(_message.Message):
    __slots__ = ("account_id", "entry_id", "grant_id")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    GRANT_ID_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    entry_id: str
    grant_id: str
    def __init__(self, account_id: _Optional[str] = ..., entry_id: _Optional[str] = ..., grant_id: _Optional[str] = ...) -> None: ...

class FindEntryResponse(_message.Message):
    __slots__ = ("entry",)
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    entry: Entry
    def __init__(self, entry: _Optional[_Union[Entry, _Mapping]] = ...) -> None: ...

class Posting(_message.Message):
    __slots__ = ("account", "amount_micro", "unit")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MICRO_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    account: str
    amount_micro: int
    unit: str
    def __init__(self, account: _Optional[str] = ..., amount_micro: _Optional[int] = ..., unit: _Optional[str] = ...) -> None: ...
