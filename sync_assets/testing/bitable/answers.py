"""The envelope of every answer, and the refusals: code, text, HTTP status. Knows nothing of boards.

Most refusals of records and fields come with HTTP 200; the exceptions are in `STATUS`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

TEXTS: Mapping[int, str] = {
    9499: "Bad Request",
    10003: "invalid param",
    10014: "app is disabled",
    10015: "app secret invalid",
    11232: "frequency limited psm[lark.oapi.app_platform_runtime]",
    19001: "param invalid: incoming webhook access token invalid",
    19002: "params error",
    19021: "sign match fail or timestamp is not within one hour from current time",
    19024: "Key Words Not Found",
    91402: "NOTEXIST",
    91403: "Forbidden",
    131002: "param err",
    131005: "not found",
    131006: "permission denied",
    1254000: "WrongRequestJson",
    1254001: "WrongRequestBody",
    1254002: "Fail",
    1254004: "WrongTableId",
    1254005: "WrongViewId",
    1254006: "WrongRecordId",
    1254007: "EmptyValue",
    1254009: "WrongFieldId",
    1254010: "ReqConvError",
    1254011: "PageSizeExceedLimit",
    1254012: "PrimaryFieldTypeNotSupport",
    1254013: "TableNameDuplicated",
    1254014: "FieldNameDuplicated",
    1254015: "Field types do not match",
    1254016: "InvalidSort",
    1254018: "InvalidFilter",
    1254024: "InvalidFieldNames",
    1254026: "OptionNameEmpty",
    1254028: "FieldNameInvalid",
    1254029: "NameInvalid",
    1254030: "TooLargeResponse",
    1254036: "Bitable is copying, please try again later",
    1254037: "Invalid client token, make sure that it complies with the specification",
    1254040: "BaseTokenNotFound",
    1254041: "TableIdNotFound",
    1254042: "ViewIdNotFound",
    1254043: "RecordIdNotFound",
    1254044: "FieldIdNotFound",
    1254045: "FieldNameNotFound",
    1254060: "TextFieldConvFail",
    1254061: "NumberFieldConvFail",
    1254062: "SingleSelectFieldConvFail",
    1254063: "MultiSelectFieldConvFail",
    1254064: "DatetimeFieldConvFail",
    1254065: "CheckboxFieldConvFail",
    1254066: "UserFieldConvFail",
    1254067: "LinkFieldConvFail",
    1254068: "URLFieldConvFail",
    1254069: "AttachFieldConvFail",
    1254072: "PhoneFieldConvFail",
    1254074: "DuplexLinkFieldConvFail",
    1254081: "NumberFieldPropertyError",
    1254082: "SingleSelectFieldPropertyError",
    1254083: "MultiSelectFieldPropertyError",
    1254084: "DateFieldPropertyError",
    1254087: "FieldPropertyError",
    1254089: "LinkFieldPropertyError",
    1254096: "UiTypeError",
    1254100: "TableExceedLimit",
    1254103: "RecordExceedLimit",
    1254104: "RecordAddOnceExceedLimit",
    1254105: "ColumnExceedLimit",
    1254107: "FilterLengthExceedLimit",
    1254108: "SortLengthExceedLimit",
    1254130: "TooLargeCell",
    1254290: "TooManyRequest",
    1254291: "Write conflict",
    1254302: "Permission denied. The role has no permission",
    1254303: "AttachPermNotAllow",
    1254606: "FieldNoChange",
    1254607: "Data not ready, please try again later",
    1254608: "Same API requests are submitted repeatedly",
    1255001: "InternalError",
    1255002: "RpcError",
    1255003: "MarshalError",
    1255004: "UmMarshalError",
    1255005: "ConvError",
    1255006: "Client token conflict, please generate a new client token and try again",
    1255040: "Request timed out, please try again later",
    99991201: "unknown path",
    99991301: "wrong method",
    99991400: "request trigger frequency limit",
    99991403: "This month's API call quota has been exceeded",
    99991661: "Missing access token for authorization",
    99991663: "Invalid access token for authorization. Please make a request with token attached",
    99991671: "Invalid access token for authorization. It should start with 't-' or 'u-'",
    99991672: "Access denied",
}

STATUS: Mapping[int, int] = {
    9499: 400,
    131002: 400,
    131005: 400,
    131006: 400,
    1254011: 400,
    1254015: 400,
    1254036: 400,
    1254037: 400,
    1254074: 400,
    **dict.fromkeys(range(1254080, 1254097), 400),
    1254302: 403,
    1254303: 403,
    1254607: 400,
    1254608: 403,
    1255006: 400,
    1255040: 504,
    99991201: 404,
    99991301: 405,
    99991400: 429,
    99991661: 400,
    99991663: 400,
    99991671: 400,
    99991672: 400,
}


class Refusal(Exception):
    """An answer with code != 0. `field` is named in the text and in `error.field_violations`."""

    def __init__(
        self,
        code: int,
        detail: str = "",
        *,
        field: str = "",
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        text = TEXTS.get(code, "Fail")
        tail = f", fieldName: {field}" if field else ""
        super().__init__(f"{text}{tail}" + (f". {detail}" if detail else ""))
        self.code = code
        self.field = field
        self.status = STATUS.get(code, 200) if status is None else status
        self.headers = dict(headers or {})

    def encode(self, log_id: str) -> bytes:
        error: dict[str, Any] = {"log_id": log_id, "troubleshooter": "see the error catalogue"}
        if self.field:
            error["field_violations"] = [{"field": f"fields.{self.field}", "description": TEXTS.get(self.code, "")}]
        return dumps({"code": self.code, "msg": str(self), "error": error}).encode()


def success(data: Mapping[str, Any] | str) -> bytes:
    """The envelope round `data`; a text is JSON already."""
    text = data if isinstance(data, str) else dumps(data)
    return f'{{"code":0,"msg":"success","data":{text}}}'.encode()
