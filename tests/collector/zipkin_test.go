package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func export(t *testing.T, status int) ([]map[string]any, error) {
	var spans []map[string]any
	zipkin := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if err := json.NewDecoder(request.Body).Decode(&spans); err != nil {
			t.Error(err)
		}
		answer.WriteHeader(status)
	}))
	defer zipkin.Close()
	factory := newZipkinFactory()
	var set exporter.Settings = exportertest.NewNopSettings(factory.Type())
	to, err := factory.CreateTraces(context.Background(), set, &zipkinConfig{Endpoint: zipkin.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Start(context.Background(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = to.Shutdown(context.Background()) }()
	traces := ptrace.NewTraces()
	resource := traces.ResourceSpans().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", "payment")
	span := resource.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetTraceID([16]byte{1})
	span.SetSpanID([8]byte{2})
	span.SetParentSpanID([8]byte{3})
	span.SetName("process inventory.reserved.*")
	span.SetStartTimestamp(1_000_000)
	span.SetEndTimestamp(3_000_000)
	span.Attributes().PutInt("attempt", 2)
	err = to.ConsumeTraces(context.Background(), traces)
	return spans, err
}

func TestASpanArrivesAsZipkinHasIt(t *testing.T) {
	spans, err := export(t, http.StatusAccepted)
	if err != nil || len(spans) != 1 {
		t.Fatal(err, spans)
	}
	span := spans[0]
	if span["traceId"] != "01000000000000000000000000000000" || span["parentId"] != "0300000000000000" {
		t.Error(span)
	}
	if span["duration"] != 2000.0 || span["tags"].(map[string]any)["attempt"] != "2" {
		t.Error(span)
	}
	if span["localEndpoint"].(map[string]any)["serviceName"] != "payment" {
		t.Error(span)
	}
}

func TestAZipkinThatRefusesIsTold(t *testing.T) {
	if _, err := export(t, http.StatusInternalServerError); err == nil {
		t.Error("nothing is told")
	}
}
