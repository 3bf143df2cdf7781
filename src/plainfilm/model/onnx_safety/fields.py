"""The fields of ONNX's protobuf messages that a plain network may have, by the numbers of onnx.proto (ONNX 1.23, IR version 13).

The messages lie at most five deep (model, graph, node, attribute, tensor), and none holds itself: reading needs no recursion
without an end.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

_ONLY_ONCE, _MANY = False, True

# What each message may hold: field number -> name, kind, whether it may come more than once.
Fields = Mapping[int, tuple[str, str, bool]]
MESSAGES: Mapping[str, Fields] = MappingProxyType(
    {
        "ModelProto": {
            1: ("ir_version", "int", _ONLY_ONCE),
            2: ("producer_name", "skipped", _ONLY_ONCE),
            3: ("producer_version", "skipped", _ONLY_ONCE),
            4: ("domain", "skipped", _ONLY_ONCE),
            5: ("model_version", "int", _ONLY_ONCE),
            6: ("doc_string", "skipped", _ONLY_ONCE),
            7: ("graph", "GraphProto", _ONLY_ONCE),
            8: ("opset_import", "OperatorSetIdProto", _MANY),
            14: ("metadata_props", "skipped", _MANY),
        },
        "OperatorSetIdProto": {1: ("domain", "text", _ONLY_ONCE), 2: ("version", "int", _ONLY_ONCE)},
        "GraphProto": {
            1: ("node", "NodeProto", _MANY),
            2: ("name", "skipped", _ONLY_ONCE),
            5: ("initializer", "TensorProto", _MANY),
            10: ("doc_string", "skipped", _ONLY_ONCE),
            11: ("input", "ValueInfoProto", _MANY),
            12: ("output", "ValueInfoProto", _MANY),
            13: ("value_info", "ValueInfoProto", _MANY),
            16: ("metadata_props", "skipped", _MANY),
        },
        "NodeProto": {
            1: ("input", "text", _MANY),
            2: ("output", "text", _MANY),
            3: ("name", "skipped", _ONLY_ONCE),
            4: ("op_type", "text", _ONLY_ONCE),
            5: ("attribute", "AttributeProto", _MANY),
            6: ("doc_string", "skipped", _ONLY_ONCE),
            7: ("domain", "text", _ONLY_ONCE),
            9: ("metadata_props", "skipped", _MANY),
        },
        "AttributeProto": {
            1: ("name", "text", _ONLY_ONCE),
            2: ("f", "float", _ONLY_ONCE),
            3: ("i", "int", _ONLY_ONCE),
            4: ("s", "text", _ONLY_ONCE),
            5: ("t", "TensorProto", _ONLY_ONCE),
            7: ("floats", "floats", _MANY),
            8: ("ints", "ints", _MANY),
            13: ("doc_string", "skipped", _ONLY_ONCE),
            20: ("type", "int", _ONLY_ONCE),
        },
        "TensorProto": {
            1: ("dims", "ints", _MANY),
            2: ("data_type", "int", _ONLY_ONCE),
            4: ("float_data", "bytes", _ONLY_ONCE),
            5: ("int32_data", "ints", _MANY),
            7: ("int64_data", "ints", _MANY),
            8: ("name", "text", _ONLY_ONCE),
            9: ("raw_data", "bytes", _ONLY_ONCE),
            10: ("double_data", "bytes", _ONLY_ONCE),
            12: ("doc_string", "skipped", _ONLY_ONCE),
            14: ("data_location", "int", _ONLY_ONCE),
        },
        "ValueInfoProto": {
            1: ("name", "text", _ONLY_ONCE),
            2: ("type", "TypeProto", _ONLY_ONCE),
            3: ("doc_string", "skipped", _ONLY_ONCE),
            4: ("metadata_props", "skipped", _MANY),
        },
        "TypeProto": {1: ("tensor_type", "TypeProto.Tensor", _ONLY_ONCE), 6: ("denotation", "skipped", _ONLY_ONCE)},
        "TypeProto.Tensor": {1: ("elem_type", "int", _ONLY_ONCE), 2: ("shape", "TensorShapeProto", _ONLY_ONCE)},
        "TensorShapeProto": {1: ("dim", "TensorShapeProto.Dimension", _MANY)},
        "TensorShapeProto.Dimension": {
            1: ("dim_value", "int", _ONLY_ONCE),
            2: ("dim_param", "skipped", _ONLY_ONCE),
            3: ("denotation", "skipped", _ONLY_ONCE),
        },
    }
)
# Fields that are known and refused, for a reason that tells more than a number.
REFUSED: Mapping[tuple[str, int], str] = MappingProxyType(
    {
        ("ModelProto", 20): "training steps",
        ("ModelProto", 25): "functions of its own",
        ("GraphProto", 14): "quantization",
        ("GraphProto", 15): "sparse weights",
        ("NodeProto", 8): "functions of its own",
        ("AttributeProto", 6): "a graph inside a node",
        ("AttributeProto", 11): "a graph inside a node",
        ("AttributeProto", 21): "functions of its own",
        ("AttributeProto", 22): "sparse weights",
        ("AttributeProto", 23): "sparse weights",
        ("TensorProto", 3): "weights in segments",
        ("TensorProto", 6): "text as weights",
        ("TensorProto", 13): "weights in other files",
        ("TypeProto", 4): "sequences",
        ("TypeProto", 5): "maps",
        ("TypeProto", 8): "sparse tensors",
        ("TypeProto", 9): "optional tensors",
    }
)
# TensorProto.DataType; text, complex and the small floats are left out: ONNX Runtime computes none of them on a processor.
DTYPES: Mapping[int, np.dtype[Any]] = MappingProxyType(
    {number: np.dtype(name) for number, name in ((1, "<f4"), (2, "u1"), (3, "i1"), (6, "<i4"), (7, "<i8"), (9, "?"), (11, "<f8"))}
)  # fmt: skip
# AttributeProto.AttributeType -> field and what stands for an empty one.
ATTRIBUTES: Mapping[int, tuple[str, Any]] = MappingProxyType(
    {1: ("f", 0.0), 2: ("i", 0), 3: ("s", ""), 4: ("t", None), 6: ("floats", ()), 7: ("ints", ())}
)
