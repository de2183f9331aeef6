package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/translator/zipkin/zipkinv2"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// How long Zipkin may take to answer.
const zipkinAnswerMax = 5 * time.Second

// How long after a failure it is tried again, at first; no longer than five minutes in all.
const zipkinRetryFirst = time.Second

type zipkinConfig struct {
	// Where spans are posted to, such as http://127.0.0.1:9411/api/v2/spans.
	Endpoint string `mapstructure:"endpoint"`
}

func (config *zipkinConfig) Validate() error {
	if config.Endpoint == "" {
		return fmt.Errorf("endpoint must be set, such as http://127.0.0.1:9411/api/v2/spans")
	}
	return nil
}

// An exporter to Zipkin, in JSON. The collector's contributions had one, and have its translation of spans still.
func newZipkinFactory() exporter.Factory {
	empty := func() component.Config { return &zipkinConfig{} }
	traces := exporter.WithTraces(newZipkin, component.StabilityLevelDevelopment)
	return exporter.NewFactory(component.MustNewType("zipkin"), empty, traces)
}

func retry() configretry.BackOffConfig {
	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval = zipkinRetryFirst
	return retry
}

func newZipkin(ctx context.Context, set exporter.Settings, config component.Config) (exporter.Traces, error) {
	endpoint := config.(*zipkinConfig).Endpoint
	client := &http.Client{Timeout: zipkinAnswerMax}
	marshaler := zipkinv2.NewJSONTracesMarshaler()
	push := func(ctx context.Context, traces ptrace.Traces) error {
		body, err := marshaler.MarshalTraces(traces)
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode/100 == 2 {
			return nil
		}
		err = fmt.Errorf("%s answers %s", endpoint, answer.Status)
		if answer.StatusCode/100 == 4 {
			return consumererror.NewPermanent(err)
		}
		return err
	}
	return exporterhelper.NewTraces(ctx, set, config, push,
		// Whoever sends spans does not wait for Zipkin, nor hears that it is not up yet.
		exporterhelper.WithQueue(configoptional.Some(exporterhelper.NewDefaultQueueConfig())),
		exporterhelper.WithRetry(retry()))
}
