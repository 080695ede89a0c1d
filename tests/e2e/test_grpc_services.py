"""gRPC health checking and server reflection, as grpcio's own clients use them."""

import json
import signal
import subprocess
import threading

import grpc
import pyarrow.flight as flight
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from server import ROOT, wait_until

pytestmark = pytest.mark.asan

FLIGHT = "arrow.flight.protocol.FlightService"
SERVICES = {
    FLIGHT,
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
WAIT_S = 30
GUARDED = "auth:\n  tokens:\n    reader: {token: read-token-0123456789}\n"
BEARER = (("authorization", "Bearer read-token-0123456789"),)


@pytest.fixture
def connect():
    """A channel to a server; closed with the test."""
    channels = []

    def open_channel(server):
        channels.append(grpc.insecure_channel(f"127.0.0.1:{server.port}"))
        return channels[-1]

    yield open_channel
    for channel in channels:
        channel.close()


def asked(service=""):
    return health_pb2.HealthCheckRequest(service=service)


def refusal(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as raised:
        answer = call(*arguments, timeout=WAIT_S, **options)
        list(answer)
    return raised.value


def watched(stub, service=""):
    """What a watch tells, as it is told."""
    call = stub.Watch(asked(service))
    told = []

    def listen():
        try:
            for response in call:
                told.append(response.status)
        except grpc.RpcError as error:
            told.append(error.code())

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    return call, told, thread


# ---- health


@pytest.mark.parametrize("service", ["", *sorted(SERVICES)])
def test_health_is_what_readyz_says(server, connect, service):
    stub = HealthStub(connect(server))
    assert stub.Check(asked(service), timeout=WAIT_S).status == SERVING


def test_an_unknown_service_is_not_found(server, connect):
    error = refusal(HealthStub(connect(server)).Check, asked("nobody.Knows"))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert "nobody.Knows" in error.details()


def test_health_checks_need_no_credentials_and_reflection_does(start, connect):
    server = start(config=GUARDED)
    channel = connect(server)
    assert HealthStub(channel).Check(asked(), timeout=WAIT_S).status == SERVING
    info = ServerReflectionStub(channel).ServerReflectionInfo
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    assert refusal(info, iter([request])).code() == grpc.StatusCode.UNAUTHENTICATED
    (answer,) = info(iter([request]), metadata=BEARER, timeout=WAIT_S)
    assert {service.name for service in answer.list_services_response.service} == SERVICES


def test_garbage_is_no_request(server, connect):
    call = connect(server).unary_unary("/grpc.health.v1.Health/Check")
    assert refusal_of_bytes(call, b"\x0a\x7f") == grpc.StatusCode.INVALID_ARGUMENT
    assert refusal_of_bytes(call, b"\x0a\xff\x1f" + b"x" * 4095) in (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.OUT_OF_RANGE,
    )


def refusal_of_bytes(call, message):
    with pytest.raises(grpc.RpcError) as raised:
        call(message, timeout=WAIT_S)
    return raised.value.code()


def test_a_server_whose_storage_cannot_be_used_is_not_serving(start, connect, tmp_path):
    (tmp_path / "broken.duckdb").write_bytes(b"\0" * 8 + b"DUCK" + b"\xff" * 20000)
    server = start(db="broken.duckdb")
    stub = HealthStub(connect(server))
    assert stub.Check(asked(), timeout=WAIT_S).status == NOT_SERVING
    assert stub.Check(asked(FLIGHT), timeout=WAIT_S).status == NOT_SERVING


def test_a_watch_tells_changes_and_the_end(start, connect):
    server = start()
    stub = HealthStub(connect(server))
    _, told, thread = watched(stub, FLIGHT)
    wait_until(lambda: told == [SERVING], "the first state is told")
    server.process.send_signal(signal.SIGTERM)
    thread.join(WAIT_S)
    assert told == [SERVING, NOT_SERVING, grpc.StatusCode.UNAVAILABLE]
    assert server.process.wait(WAIT_S) == 0


def test_a_watch_of_an_unknown_service_stays_open(server, connect):
    call, told, thread = watched(HealthStub(connect(server)), "nobody.Knows")
    wait_until(lambda: told == [SERVICE_UNKNOWN], "it is told to be unknown")
    assert not call.done()
    call.cancel()
    thread.join(WAIT_S)
    assert told == [SERVICE_UNKNOWN, grpc.StatusCode.CANCELLED]


def test_watches_that_are_left_are_forgotten(start, connect):
    server = start()
    stub = HealthStub(connect(server))
    for _ in range(50):
        call = stub.Watch(asked())
        assert next(call).status == SERVING
        call.cancel()
    assert stub.Check(asked(), timeout=WAIT_S).status == SERVING


# ---- reflection


def test_the_descriptors_describe_flight(server, connect):
    database = ProtoReflectionDescriptorDatabase(connect(server))
    assert set(database.get_services()) == SERVICES
    pool = DescriptorPool(database)
    methods = pool.FindServiceByName(FLIGHT).methods_by_name
    assert {"DoGet", "DoPut", "DoExchange", "Handshake", "PollFlightInfo"} <= set(methods)
    body = pool.FindMessageTypeByName("arrow.flight.protocol.FlightData").fields_by_name
    assert body["data_body"].number == 1000
    query = pool.FindMessageTypeByName("arrow.flight.protocol.sql.CommandStatementQuery")
    assert "query" in query.fields_by_name
    with pytest.raises(KeyError):
        pool.FindMessageTypeByName("arrow.flight.protocol.Nothing")


def test_many_questions_in_one_call_are_answered_in_order(server, connect):
    names = ["Flight.proto", "none.proto", "grpc/health.proto"] * 40
    requests = [reflection_pb2.ServerReflectionRequest(file_by_filename=name) for name in names]
    info = ServerReflectionStub(connect(server)).ServerReflectionInfo
    answers = list(info(iter(requests), timeout=WAIT_S))
    assert [answer.original_request.file_by_filename for answer in answers] == names
    for name, answer in zip(names, answers, strict=True):
        if name == "none.proto":
            assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
        else:
            assert answer.file_descriptor_response.file_descriptor_proto


def test_v1_is_there_too(server, connect):
    path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    info = connect(server).stream_stream(
        path,
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = info(iter([request]), timeout=WAIT_S)
    assert {service.name for service in answer.list_services_response.service} == SERVICES


def test_an_open_reflection_does_not_hold_the_end_up(start, connect):
    server = start()
    hold = threading.Event()

    def questions():
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        hold.wait(WAIT_S)

    call = ServerReflectionStub(connect(server)).ServerReflectionInfo(questions())
    next(call)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(WAIT_S) == 0
    with pytest.raises(grpc.RpcError) as raised:
        next(call)
    hold.set()
    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE


GRPCURL = ROOT / ".deps" / "peers" / "grpcurl"


@pytest.mark.skipif(not GRPCURL.is_file(), reason="scripts/fetch-peers has not been run")
def test_grpcurl_finds_its_way(server):
    def grpcurl(*arguments):
        command = [str(GRPCURL), "-plaintext", *arguments[:-1], f"127.0.0.1:{server.port}"]
        return subprocess.run(
            [*command, *arguments[-1].split()], capture_output=True, text=True, timeout=60
        )

    assert set(grpcurl("list").stdout.split()) == SERVICES
    assert "rpc DoGet ( .arrow.flight.protocol.Ticket )" in grpcurl(f"describe {FLIGHT}").stdout
    checked = grpcurl("-d", '{"service":""}', "grpc.health.v1.Health/Check")
    assert "SERVING" in checked.stdout
    unknown = grpcurl("-d", '{"service":"x"}', "grpc.health.v1.Health/Check")
    assert "NotFound" in unknown.stderr


# ---- clients with the limits that their libraries have


def test_answers_fit_into_what_a_client_takes_by_default(server, connect):
    """4 MiB a message, in Go, Rust and here: larger batches are cut."""
    columns = ", ".join(f"i + {n} AS c{n}" for n in range(60))
    sql = json.dumps({"sql": f"SELECT {columns} FROM range(100000) t(i)"}).encode()
    with flight.connect(f"grpc://127.0.0.1:{server.port}") as client:
        info = client.get_flight_info(flight.FlightDescriptor.for_command(sql))
        ticket = info.endpoints[0].ticket
        rows = client.do_get(ticket).read_all().num_rows
    assert rows == 100000
    get = connect(server).unary_stream(f"/{FLIGHT}/DoGet")
    sizes = [len(message) for message in get(ticket.serialize(), timeout=WAIT_S)]
    assert sum(sizes) > 60 * 8 * 100000
    assert max(sizes) <= 4 << 20
