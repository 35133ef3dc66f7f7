from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ScreenRequest(_message.Message):
    __slots__ = ("bucket", "key", "profile")
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    bucket: str
    key: str
    profile: str
    def __init__(self, bucket: _Optional[str] = ..., key: _Optional[str] = ..., profile: _Optional[str] = ...) -> None: ...

class ScreenResponse(_message.Message):
    __slots__ = ("accepted", "code", "detail", "width", "height", "content_type", "advice", "hints")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    HINTS_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    code: str
    detail: str
    width: int
    height: int
    content_type: str
    advice: _containers.RepeatedScalarFieldContainer[str]
    hints: _containers.RepeatedCompositeFieldContainer[Advice]
    def __init__(self, accepted: _Optional[bool] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., content_type: _Optional[str] = ..., advice: _Optional[_Iterable[str]] = ..., hints: _Optional[_Iterable[_Union[Advice, _Mapping]]] = ...) -> None: ...

class Advice(_message.Message):
    __slots__ = ("code", "measured", "needed", "unit", "sentence")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    code: str
    measured: float
    needed: float
    unit: str
    sentence: str
    def __init__(self, code: _Optional[str] = ..., measured: _Optional[float] = ..., needed: _Optional[float] = ..., unit: _Optional[str] = ..., sentence: _Optional[str] = ...) -> None: ...

class ScoreRequest(_message.Message):
    __slots__ = ("bucket", "key", "profile", "profile_version", "reference_key", "request_key")
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    PROFILE_VERSION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_KEY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_KEY_FIELD_NUMBER: _ClassVar[int]
    bucket: str
    key: str
    profile: str
    profile_version: int
    reference_key: str
    request_key: str
    def __init__(self, bucket: _Optional[str] = ..., key: _Optional[str] = ..., profile: _Optional[str] = ..., profile_version: _Optional[int] = ..., reference_key: _Optional[str] = ..., request_key: _Optional[str] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("passed", "score", "dimensions", "perceptual_hash")
    PASSED_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    PERCEPTUAL_HASH_FIELD_NUMBER: _ClassVar[int]
    passed: bool
    score: float
    dimensions: _containers.RepeatedCompositeFieldContainer[Dimension]
    perceptual_hash: str
    def __init__(self, passed: _Optional[bool] = ..., score: _Optional[float] = ..., dimensions: _Optional[_Iterable[_Union[Dimension, _Mapping]]] = ..., perceptual_hash: _Optional[str] = ...) -> None: ...

class Dimension(_message.Message):
    __slots__ = ("name", "tier", "status", "raw", "score", "threshold", "required", "passed")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    name: str
    tier: int
    status: str
    raw: float
    score: float
    threshold: float
    required: bool
    passed: bool
    def __init__(self, name: _Optional[str] = ..., tier: _Optional[int] = ..., status: _Optional[str] = ..., raw: _Optional[float] = ..., score: _Optional[float] = ..., threshold: _Optional[float] = ..., required: _Optional[bool] = ..., passed: _Optional[bool] = ...) -> None: ...

class ProfilesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ProfilesResponse(_message.Message):
    __slots__ = ("profiles",)
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    profiles: _containers.RepeatedCompositeFieldContainer[Profile]
    def __init__(self, profiles: _Optional[_Iterable[_Union[Profile, _Mapping]]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("name", "version", "sha256", "dimensions")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    sha256: str
    dimensions: _containers.RepeatedCompositeFieldContainer[ProfileDimension]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., sha256: _Optional[str] = ..., dimensions: _Optional[_Iterable[_Union[ProfileDimension, _Mapping]]] = ...) -> None: ...

class ProfileDimension(_message.Message):
    __slots__ = ("name", "tier", "required", "threshold")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    name: str
    tier: int
    required: bool
    threshold: float
    def __init__(self, name: _Optional[str] = ..., tier: _Optional[int] = ..., required: _Optional[bool] = ..., threshold: _Optional[float] = ...) -> None: ...
