// The Go edge that ours is measured against: net/http and franz-go, 200 after acks=all, GitHub's signature checked.
//
//	edge PORT BOOTSTRAP TOPIC LINGER_MS [headers]
//
// With `headers` every header of the request is a header of the record, which is nearest to what ours has to keep.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	secret = "s3cret"
	limit  = 20_000_000
)

type door struct {
	client  *kgo.Client
	headers bool
}

func (d door) ServeHTTP(out http.ResponseWriter, request *http.Request) {
	body, err := read(out, request)
	if err != nil {
		out.WriteHeader(http.StatusBadRequest)
		return
	}
	if !signed(body, request.Header.Get("X-Hub-Signature-256")) {
		out.WriteHeader(http.StatusUnauthorized)
		return
	}
	record := kgo.Record{Key: []byte(request.Header.Get("X-GitHub-Delivery")), Value: body}
	if d.headers {
		for name, values := range request.Header {
			for _, value := range values {
				record.Headers = append(record.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
			}
		}
	}
	stored := make(chan error, 1)
	d.client.Produce(context.Background(), &record, func(_ *kgo.Record, err error) { stored <- err })
	if <-stored != nil {
		out.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	out.WriteHeader(http.StatusOK)
}

func read(out http.ResponseWriter, request *http.Request) ([]byte, error) {
	from := http.MaxBytesReader(out, request.Body, limit)
	if request.ContentLength < 0 || request.ContentLength > limit {
		return io.ReadAll(from)
	}
	body := make([]byte, request.ContentLength)
	_, err := io.ReadFull(from, body)
	return body, err
}

func signed(body []byte, given string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hmac.Equal([]byte("sha256="+hex.EncodeToString(mac.Sum(nil))), []byte(given))
}

func main() {
	port, bootstrap, topic := os.Args[1], os.Args[2], os.Args[3]
	linger, err := strconv.Atoi(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(time.Duration(linger)*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(32<<20),
		kgo.MaxBufferedRecords(100_000),
	)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, door{client, len(os.Args) > 5}))
}
