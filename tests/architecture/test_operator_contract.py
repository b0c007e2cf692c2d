"""The operator's gRPC contract compiles, keeps its style, and never changes on the wire."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import pytest
from google.protobuf import descriptor_pb2

from tests.architecture.source_tree import ROOT, project_files

PROTO = "cobot/operator/v1/operator.proto"
# What is on the wire, once and for ever. A line may be added; one that is here may not change.
PINNED = Path(__file__).with_name("operator_wire.txt")

Field: TypeAlias = descriptor_pb2.FieldDescriptorProto
CAMEL = re.compile(r"[A-Z][A-Za-z0-9]*")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> descriptor_pb2.FileDescriptorProto:
    """The compiled contract, made with the same compiler that makes the stubs."""
    out = tmp_path_factory.mktemp("compiled")
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(ROOT / "proto"), PROTO]
    outputs = [f"--python_out={out}", f"--grpc_python_out={out}", f"--descriptor_set_out={out}/set"]
    result = subprocess.run(
        [*command, *outputs], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "protoc warned"
    stubs = out / PROTO.replace(".proto", "_pb2_grpc.py")
    assert "SettlementServiceServicer" in stubs.read_text(encoding="utf-8")
    files = descriptor_pb2.FileDescriptorSet.FromString((out / "set").read_bytes())
    return files.file[0]


def wire(contract: descriptor_pb2.FileDescriptorProto) -> list[str]:
    """Everything of the contract that is seen on the wire, a line each."""
    lines = []
    for service in contract.service:
        for method in service.method:
            stream = "stream " if method.server_streaming else ""
            types = f"{_short(method.input_type)} -> {stream}{_short(method.output_type)}"
            lines.append(f"{contract.package}.{service.name}/{method.name} {types}")
    for enum in contract.enum_type:
        lines += [f"{enum.name}.{value.name} = {value.number}" for value in enum.value]
    for message in contract.message_type:
        lines += [f"{message.name}.{_field(field)}" for field in message.field]
    return lines


def _field(field: Field) -> str:
    label = "repeated " if field.label == Field.LABEL_REPEATED else ""
    kind = _short(field.type_name) or Field.Type.Name(field.type).removeprefix("TYPE_").lower()
    return f"{field.name} = {field.number}: {label}{kind}"


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def test_the_wire_is_what_it_was(contract: descriptor_pb2.FileDescriptorProto) -> None:
    """Services, methods, enum values, field names, numbers and types are as they were pinned."""
    assert wire(contract) == PINNED.read_text(encoding="utf-8").splitlines()


def test_the_settlement_feed_resumes_from_a_cursor(
    contract: descriptor_pb2.FileDescriptorProto,
) -> None:
    """The feed is a server stream of settlements, and its request says where to go on."""
    lines = wire(contract)
    feed = "cobot.operator.v1.SettlementService/WatchSettlements"
    assert f"{feed} WatchSettlementsRequest -> stream WatchSettlementsResponse" in lines
    assert "WatchSettlementsResponse.settlement = 1: SettlementEvent" in lines
    assert "WatchSettlementsRequest.after_sequence = 1: int64" in lines


def test_the_package_is_where_its_name_says(
    contract: descriptor_pb2.FileDescriptorProto,
) -> None:
    """Package and folder agree, and the package carries a version."""
    assert contract.package == ".".join(PurePosixPath(PROTO).parent.parts)
    assert re.search(r"\.v\d+$", contract.package)
    assert contract.syntax == "proto3"


def test_every_proto_of_ours_is_checked_here() -> None:
    """No second contract grew up beside the one that is pinned."""
    assert [name for name in project_files() if name.endswith(".proto")] == [f"proto/{PROTO}"]


def test_an_enum_begins_with_unspecified(
    contract: descriptor_pb2.FileDescriptorProto,
) -> None:
    """Zero means that nothing was said, and every value carries its enum's name."""
    assert contract.enum_type
    for enum in contract.enum_type:
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper()
        assert enum.value[0].number == 0
        assert enum.value[0].name == f"{prefix}_UNSPECIFIED"
        assert all(value.name.startswith(f"{prefix}_") for value in enum.value)


def test_requests_and_responses_are_named_for_their_method(
    contract: descriptor_pb2.FileDescriptorProto,
) -> None:
    """Each method has a request and a response of its own, so that each can grow alone."""
    used = []
    for service in contract.service:
        assert service.name.endswith("Service")
        for method in service.method:
            assert _short(method.input_type) == f"{method.name}Request"
            assert _short(method.output_type) == f"{method.name}Response"
            used += [method.input_type, method.output_type]
    assert len(used) == len(set(used))


def test_names_are_written_as_protobuf_writes_them(
    contract: descriptor_pb2.FileDescriptorProto,
) -> None:
    """Messages in CamelCase, fields in snake_case, lists in the plural."""
    for message in contract.message_type:
        assert CAMEL.fullmatch(message.name)
        for field in message.field:
            assert SNAKE.fullmatch(field.name), field.name
            assert field.label != Field.LABEL_REPEATED or field.name.endswith("s")


def test_amounts_are_whole_numbers_with_a_unit(
    contract: descriptor_pb2.FileDescriptorProto,
) -> None:
    """Nothing on the wire is a float, and what ends in a unit is an int64."""
    inexact = {Field.TYPE_DOUBLE, Field.TYPE_FLOAT}
    for message in contract.message_type:
        for field in message.field:
            assert field.type not in inexact, field.name
            if field.name.endswith(("_msat", "_pusd", "_ms")):
                assert field.type == Field.TYPE_INT64, field.name


def test_no_secret_has_a_place_in_the_contract(
    contract: descriptor_pb2.FileDescriptorProto,
) -> None:
    """No field could carry a prompt, a completion, a preimage or a token."""
    names = {field.name for message in contract.message_type for field in message.field}
    secret = ("prompt", "completion", "preimage", "macaroon", "secret")
    assert [name for name in names if any(word in name for word in secret)] == []
