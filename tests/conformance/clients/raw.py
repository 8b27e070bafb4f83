# SPDX-License-Identifier: Apache-2.0
"""Requests as no library makes them: each query and header as the test wants it, and the whole answer."""
import concurrent.futures
import json
import urllib.error
import urllib.parse
import urllib.request

PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIALS = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def lines(self):
        """Of a watch: each event."""
        return [json.loads(line) for line in self.body.splitlines()]

    def refused(self, status, reason, message):
        """The Status that it is."""
        o = self.json()
        assert (self.status, o["code"], o["reason"], o["message"]) == (status, status, reason, message), o
        return o


class Raw:
    def __init__(self, api):
        self.api = api

    def __call__(self, path, method="GET", body=None, headers=None, **query):
        """GET path?query; None leaves a parameter out."""
        query = {k: str(v) for k, v in query.items() if v is not None}
        url = self.api.url + path + ("?" + urllib.parse.urlencode(query) if query else "")
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(url, method=method, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, context=self.api.context, timeout=30) as a:
                return Answer(a.status, a.headers, a.read())
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.headers, e.read())

    def each(self, path, *queries):
        """The answers of several at once: a watch takes its time."""
        with concurrent.futures.ThreadPoolExecutor(len(queries)) as pool:
            return list(pool.map(lambda q: self(path, **q), queries))

    def as_(self, accept, path, **query):
        return self(path, headers={"Accept": accept}, **query)
