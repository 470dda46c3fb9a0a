// Drives Ringway with gorilla/websocket over Go's own TLS.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build go_client.go && ./go_client FOLDER
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const patience = 20 * time.Second

type hall struct {
	folder string
	ports  map[string]int
	roots  *x509.CertPool
}

func main() {
	h, err := enter(os.Args[1])
	if err != nil {
		fmt.Println("FAILED  go:", err)
		os.Exit(1)
	}
	failed := 0
	for _, check := range checks {
		if err := check.act(h); err != nil {
			failed = 1
			fmt.Printf("FAILED  go: %s: %v\n", check.fact, err)
		} else {
			fmt.Printf("ok      go: %s\n", check.fact)
		}
	}
	os.Exit(failed)
}

var checks = []struct {
	fact string
	act  func(*hall) error
}{
	{"messages of all sizes come back as they were, in both versions", func(h *hall) error {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			config := h.config()
			config.MinVersion, config.MaxVersion = version, version
			client, err := h.open("tls", "/ws", config)
			if err != nil {
				return err
			}
			for _, size := range []int{0, 1, 125, 126, 16383, 16384, 16385, 65536, 1 << 20} {
				if err := echo(client, random(size)); err != nil {
					return fmt.Errorf("%d bytes: %w", size, err)
				}
			}
			if err := shut(client); err != nil {
				return err
			}
		}
		return nil
	}},
	{"every curve and cipher carries tunnels", func(h *hall) error {
		for _, curve := range []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384} {
			config := h.config()
			config.CurvePreferences = []tls.CurveID{curve}
			if err := once(h, config); err != nil {
				return fmt.Errorf("%v: %w", curve, err)
			}
		}
		for _, suite := range []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,
		} {
			config := h.config()
			config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{suite}
			if err := once(h, config); err != nil {
				return fmt.Errorf("%s: %w", tls.CipherSuiteName(suite), err)
			}
		}
		return nil
	}},
	{"fifty tunnels at once echo each its own", func(h *hall) error {
		var group sync.WaitGroup
		errors := make(chan error, 50)
		for number := 0; number < 50; number++ {
			group.Add(1)
			go func() {
				defer group.Done()
				if err := once(h, h.config()); err != nil {
					errors <- err
				}
			}()
		}
		group.Wait()
		close(errors)
		return <-errors
	}},
	{"sessions are resumed", func(h *hall) error {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			config := h.config()
			config.MaxVersion = version
			config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
			for round := 0; round < 4; round++ {
				client, err := h.open("tls", "/ws", config)
				if err != nil {
					return err
				}
				if err := echo(client, []byte("hello")); err != nil {
					return err
				}
				state := client.UnderlyingConn().(*tls.Conn).ConnectionState()
				if state.DidResume != (round > 0) {
					return fmt.Errorf("%x, round %d: resumed is %v", version, round, state.DidResume)
				}
				if err := shut(client); err != nil {
					return err
				}
			}
		}
		return nil
	}},
	{"a certificate opens the door, and none does not", func(h *hall) error {
		config := h.config()
		papers, err := tls.LoadX509KeyPair(h.file("device-7.pem"), h.file("device-7.key"))
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{papers}
		client, err := h.open("devices", "/ws", config)
		if err != nil {
			return err
		}
		if err := echo(client, []byte("hello")); err != nil {
			return err
		}
		if err := shut(client); err != nil {
			return err
		}
		_, err = h.open("devices", "/ws", h.config())
		return fails(err, "tls: ")
	}},
	{"an authority that is not trusted is not spoken to", func(h *hall) error {
		config := h.config()
		config.RootCAs = x509.NewCertPool()
		_, err := h.open("tls", "/ws", config)
		return fails(err, "unknown authority")
	}},
	{"HTTP goes over TLS, and falls back from HTTP/2", func(h *hall) error {
		transport := &http.Transport{TLSClientConfig: h.config(), ForceAttemptHTTP2: true, DialContext: nil}
		client := &http.Client{Transport: transport, Timeout: patience}
		answer, err := client.Get(fmt.Sprintf("https://127.0.0.1:%d/trusted/page", h.ports["tls"]))
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		if answer.Proto != "HTTP/1.1" || string(body) != strings.Repeat("over TLS all the way, ", 5000) {
			return fmt.Errorf("%s with %d bytes", answer.Proto, len(body))
		}
		return nil
	}},
}

func enter(folder string) (*hall, error) {
	h := &hall{folder: folder, roots: x509.NewCertPool()}
	text, err := os.ReadFile(h.file("hall.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &h.ports); err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(h.file("ca.pem"))
	h.roots.AppendCertsFromPEM(authority)
	return h, err
}

func (h *hall) file(name string) string { return filepath.Join(h.folder, name) }

func (h *hall) config() *tls.Config { return &tls.Config{RootCAs: h.roots, ServerName: "localhost"} }

func (h *hall) open(listener, path string, config *tls.Config) (*websocket.Conn, error) {
	dialer := websocket.Dialer{TLSClientConfig: config, HandshakeTimeout: patience}
	address := fmt.Sprintf("wss://%s%s", net.JoinHostPort("127.0.0.1", fmt.Sprint(h.ports[listener])), path)
	client, _, err := dialer.Dial(address, nil)
	if err == nil {
		client.SetReadDeadline(time.Now().Add(patience))
	}
	return client, err
}

// A tunnel, two echoes, and its end.
func once(h *hall, config *tls.Config) error {
	client, err := h.open("tls", "/ws", config)
	if err != nil {
		return err
	}
	for _, size := range []int{20, 50_000} {
		if err := echo(client, random(size)); err != nil {
			return err
		}
	}
	return shut(client)
}

func echo(client *websocket.Conn, message []byte) error {
	if err := client.WriteMessage(websocket.BinaryMessage, message); err != nil {
		return err
	}
	_, came, err := client.ReadMessage()
	if err == nil && !bytes.Equal(came, message) {
		err = fmt.Errorf("%d other bytes came back for %d", len(came), len(message))
	}
	return err
}

func shut(client *websocket.Conn) error {
	defer client.Close()
	goodbye := websocket.FormatCloseMessage(1000, "done")
	if err := client.WriteMessage(websocket.CloseMessage, goodbye); err != nil {
		return err
	}
	_, _, err := client.ReadMessage()
	if !websocket.IsCloseError(err, 1000) {
		return fmt.Errorf("no Close frame but %v", err)
	}
	return nil
}

func random(size int) []byte {
	message := make([]byte, size)
	rand.Read(message)
	return message
}

func fails(err error, words string) error {
	if err == nil {
		return fmt.Errorf("it has a tunnel")
	}
	if !strings.Contains(err.Error(), words) {
		return err
	}
	return nil
}
