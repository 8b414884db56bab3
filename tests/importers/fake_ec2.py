"""An EC2 endpoint of a few lines: answers by action, in AWS's query protocol, for what moto does not play."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

#: Form fields of the request → HTTP status and body.
Answer = Callable[[dict[str, str]], tuple[int, str]]


def refusal(code: str, message: str) -> tuple[int, str]:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return 403, f"<Response><Errors>{error}</Errors><RequestID>1</RequestID></Response>"


def answer(action: str, content: str = "") -> tuple[int, str]:
    return 200, f'<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">{content}</{action}Response>'


def identity(_: dict[str, str]) -> tuple[int, str]:
    account = "<Account>111122223333</Account>"
    return answer("GetCallerIdentity", f"<GetCallerIdentityResult>{account}</GetCallerIdentityResult>")


def group_xml(group_id: str, port: int | None = None) -> str:
    ranges = "<ipRanges><item><cidrIp>10.0.0.0/8</cidrIp></item></ipRanges>"
    permission = (
        f"<item><ipProtocol>tcp</ipProtocol><fromPort>{port}</fromPort><toPort>{port}</toPort>{ranges}</item>"
        if port
        else ""
    )
    return (
        f"<item><groupId>{group_id}</groupId><groupName>{group_id[3:]}</groupName><ownerId>111122223333</ownerId>"
        f"<vpcId>vpc-1</vpcId><ipPermissions>{permission}</ipPermissions></item>"
    )


def rule_xml(rule_id: str, group_id: str, port: int) -> str:
    return (
        f"<item><securityGroupRuleId>{rule_id}</securityGroupRuleId><groupId>{group_id}</groupId>"
        f"<isEgress>false</isEgress><ipProtocol>tcp</ipProtocol><fromPort>{port}</fromPort><toPort>{port}</toPort>"
        "<cidrIpv4>10.0.0.0/8</cidrIpv4></item>"
    )


@contextmanager
def fake_ec2(**answers: Answer) -> Iterator[str]:
    """The URL of an endpoint that knows these actions; every other one gives an empty listing."""

    known = {"GetCallerIdentity": identity, **answers}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fields = {key: values[0] for key, values in parse_qs(body).items()}
            action = fields["Action"]
            status, text = known[action](fields) if action in known else answer(action)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
