//! Formats of secrets, as their vendors describe them, filled at random.
//!
//! Invariant: the same number gives the same secret, and no two numbers give the same one. Each template is what
//! stands in a record: a vendor's token alone where its looks tell what it is, and with a name in front where
//! nothing else does.
//!
//! In a template `$A36` stands for 36 random characters of class `A` that nobody may see, and `#D10` for ten
//! digits that anybody may: an id, not what opens it. A back quote ends a length where a digit follows.
//!
//! Sources: the vendors' documentation of their token formats; the rules of gitleaks and of GitHub's secret
//! scanning for the lengths where a vendor says nothing.

/// What is written, and which bytes of it are secret.
#[derive(Clone, Debug)]
pub(crate) struct Secret {
    pub(crate) format: &'static str,
    pub(crate) text: String,
    /// One for each byte of the text.
    pub(crate) is_hidden: Vec<bool>,
}

/// Name and template of each format.
pub(crate) const FORMATS: &[(&str, &str)] = &[
    ("AWS secret key beside its id", "AKIA#U16:$B40"),
    ("AWS secret key by name", "aws_secret_access_key = $B40"),
    ("AWS secret key in JSON", r#"{"AccessKeyId":"ASIA#U16","SecretAccessKey":"$B40"}"#),
    ("AWS session token", "IQoJb3JpZ2lu$B320=="),
    ("AWS session token of a role", "AWS_SESSION_TOKEN=FwoGZXIvYXdz$B320"),
    (
        "presigned URL of S3",
        "https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA#U16%2F20260302%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=$H64",
    ),
    ("GitHub personal token", "ghp_$A36"),
    ("GitHub OAuth token", "gho_$A36"),
    ("GitHub user token", "ghu_$A36"),
    ("GitHub server token", "ghs_$A36"),
    ("GitHub refresh token", "ghr_$A76"),
    ("GitHub fine-grained token", "github_pat_$A22_$A59"),
    ("GitLab personal token", "glpat-$W20"),
    ("GitLab routable token", "glpat-$W27.01.$L9"),
    ("GitLab runner token", "glrt-$W20"),
    ("GitLab runner registration", "GR1348941$W20"),
    ("GitLab deploy token", "gldt-$W20"),
    ("GitLab trigger token", "glptt-$H40"),
    ("GitLab job token", "glcbt-64_$W20"),
    ("GitLab agent token", "glagent-$W50"),
    ("GitLab incoming mail token", "glimt-$W25"),
    ("GitLab feed token", "glft-$W20"),
    ("GitLab SCIM token", "glsoat-$W20"),
    ("GitLab feature flags token", "glffct-$W20"),
    ("GitLab workspace token", "glwt-$W20"),
    ("GitLab OAuth secret", "gloas-$H64"),
    ("Slack bot token", "xoxb-#D12-#D13-$A24"),
    ("Slack user token", "xoxp-#D12-#D12-#D12-$H32"),
    ("Slack app token", "xapp-1-A#U10-#D13-$H64"),
    ("Slack rotated token", "xoxe.xoxp-1-$A146"),
    ("Slack webhook", "https://hooks.slack.com/services/T#U10/B#U10/$A24"),
    ("Slack workflow", "https://hooks.slack.com/workflows/T#U10/A#U10/#D18/$A24"),
    ("Stripe live key", "sk_live_$A24"),
    ("Stripe restricted key", "rk_live_$A99"),
    ("Stripe webhook secret", "whsec_$A32"),
    ("OpenAI key", "sk-$A20T3BlbkFJ$A20"),
    ("OpenAI project key", "sk-proj-$W74T3BlbkFJ$W74"),
    ("OpenAI service account key", "sk-svcacct-$W74T3BlbkFJ$W74"),
    ("OpenAI admin key", "sk-admin-$W74T3BlbkFJ$W74"),
    ("Anthropic key", "sk-ant-api03-$W93AA"),
    ("Anthropic admin key", "sk-ant-admin01-$W93AA"),
    ("Anthropic OAuth token", "sk-ant-oat01-$W93AA"),
    ("OpenRouter key", "sk-or-v1-$H64"),
    ("Langfuse secret", "sk-lf-$H8-$H4-$H4-$H4-$H12"),
    ("ElevenLabs key", "sk_$H48"),
    ("Google API key", "AIza$W35"),
    ("Google access token", "ya29.$W180"),
    ("Google client secret", "GOCSPX-$W28"),
    ("Google refresh token", "1//0$W60"),
    (
        "Google service account",
        r##"{"type":"service_account","private_key_id":"#H40","private_key":"-----BEGIN PRIVATE KEY-----\n$B64\n$B64\n$B64\n-----END PRIVATE KEY-----\n"}"##,
    ),
    ("JWT", "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJ$W120.$W86"),
    ("bearer header", "Authorization: Bearer $A40"),
    ("basic header", "Authorization: Basic $B42=="),
    ("bearer scheme", "with Bearer $W50"),
    (
        "Azure SAS",
        "https://a.blob.core.windows.net/c/b?sv=2024-11-04&ss=b&se=2026-04-01T00:00:00Z&sig=$H43%3D",
    ),
    ("Azure client secret", "$A3`8Q~$W34"),
    (
        "Azure storage connection",
        "DefaultEndpointsProtocol=https;AccountName=#L10;AccountKey=$B86==;EndpointSuffix=core.windows.net",
    ),
    (
        "Azure Service Bus connection",
        "Endpoint=sb://#L8.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=$B43=",
    ),
    ("Azure storage key", "$B76+ASt$A6=="),
    ("Azure Batch key", "$B76+ABa$A6=="),
    ("Azure AI key", "$A52JQQJ99$A26"),
    ("Azure Functions key", "$W44AzFu$A6=="),
    ("Azure Search key", "$A42AzSeA$A5"),
    ("Azure registry password", "$B42+ACRA$A5"),
    ("Azure DevOps token", "$A76AZDO$A4"),
    ("npm token", "npm_$A36"),
    ("npmrc", "//registry.npmjs.org/:_authToken=$H8-$H4-$H4-$H4-$H12"),
    ("PyPI token", "pypi-AgEIcHlwaS5vcmc$W150"),
    ("RubyGems key", "rubygems_$H48"),
    ("Vault service token", "hvs.$W92"),
    ("Vault batch token", "hvb.$W138"),
    ("Vault root token", "hvs.$A24"),
    ("Vault recovery token", "hvr.$A24"),
    ("Vault token of old", "s.$A24"),
    ("Twilio token by name", "TWILIO_AUTH_TOKEN=$H32"),
    ("SendGrid key", "SG.$W22.$W43"),
    ("Mailgun key", "key-$H32"),
    ("Brevo key", "xkeysib-$H64-$A16"),
    ("Datadog API key by name", "DD_API_KEY=$H32"),
    ("Datadog application key by name", "DD-APPLICATION-KEY: $H40"),
    ("New Relic key", "NRAK-$U27"),
    ("Grafana cloud token", "glc_$B120="),
    ("Grafana key of old", "eyJrIjoi$B80"),
    ("PostHog key", "phx_$A43"),
    ("SonarQube token", "sqp_$H40"),
    ("Sourcegraph token", "sgp_$H40"),
    ("Artifactory key", "AKCp$A69"),
    ("Artifactory reference token", "cmVmdGtuOj$A54"),
    ("NuGet key", "oy2$L43"),
    ("Grafana token", "glsa_$A32_$H8"),
    ("Dynatrace token", "dt0c01.#U24.$U64"),
    ("Sentry token", "sntryu_$H64"),
    ("Sentry organisation token", "sntrys_eyJ$B160=_$B43"),
    ("DigitalOcean token", "dop_v1_$H64"),
    ("DigitalOcean OAuth token", "doo_v1_$H64"),
    ("Netlify token", "nfp_$A36"),
    ("Render key", "rnd_$A32"),
    ("Fly token", "fm2_$B300"),
    ("Fly token of old", "fo1_$W43"),
    ("Neon key", "napi_$L64"),
    ("Vercel token", "vcp_$A56"),
    ("Vercel gateway key", "vck_$A56"),
    ("Cloudflare user token", "cfut_$A40$H8"),
    ("Cloudflare account token", "cfat_$A40$H8"),
    ("Yandex OAuth token", "y0_AgAAAA$W50"),
    ("Yandex IAM token", "t1.9eu$W180.$W86"),
    ("Yandex key", "AQVN$W36"),
    ("Databricks token", "dapi$H32"),
    ("Okta token", "Authorization: SSWS 00$W40"),
    ("Okta scheme", "header SSWS 00$W40 sent"),
    ("Teleport join token", "teleport start --roles=node --token=$H32 --auth-server=t.example:443"),
    ("token behind a flag", "argocd login cd.example --password $A20 --grpc-web"),
    ("password behind a flag", "curl -u deploy:$A20 https://ci.example/job"),
    ("Docker Hub token", "dckr_pat_$W27"),
    ("Docker auth", r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpw$B40"}}}"#),
    ("Terraform token", "$A14.atlasv1.$A67"),
    ("Telegram bot token", "#D10:AA$W33"),
    ("Discord webhook", "https://discord.com/api/webhooks/#D18/$W68"),
    ("Discord bot header", "Authorization: Bot MT$W22.$W6.$W38"),
    ("Heroku key by name", "HEROKU_API_KEY=$H8-$H4-$H4-$H4-$H12"),
    ("Heroku token", "HRKU-AA$W58"),
    ("Shopify token", "shpat_$H32"),
    ("Shopify secret", "shpss_$H32"),
    ("Square token", "EAAA$W60"),
    ("Square secret", "sq0csp-$W43"),
    ("Atlassian token", "ATATT3xFfGF0$W180=$U8"),
    ("Bitbucket app password", "ATBB$A32"),
    ("Trello token", "ATTA$H64"),
    ("HubSpot token", "pat-na1-$H8-$H4-$H4-$H4-$H12"),
    ("Contentful token", "CFPAT-$W43"),
    ("Typeform token", "tfp_$W44_$W14"),
    ("1Password service account", "ops_eyJ$B300"),
    ("Linear key", "lin_api_$A40"),
    ("Notion token", "ntn_#D11$A35"),
    ("Notion secret", "secret_$A43"),
    ("Hugging Face token", "hf_$A34"),
    ("Hugging Face organisation token", "api_org_$A34"),
    ("NVIDIA key", "nvapi-$W64"),
    ("Cerebras key", "csk-$L48"),
    ("Jina key", "jina_$W60"),
    ("Together key", "tgp_v1_$W43"),
    ("E2B key", "e2b_$H40"),
    ("RunPod key", "rpa_$A42"),
    ("Tavily key", "tvly-dev-$A32"),
    ("Firecrawl key by name", "FIRECRAWL_API_KEY=fc-$H32"),
    ("Fireworks key", "fw_$A24"),
    ("Pinecone key", "pcsk_$A69"),
    ("Replicate token", "r8_$A37"),
    ("Groq key", "gsk_$A52"),
    ("Perplexity key", "pplx-$A48"),
    ("xAI key", "xai-$A80"),
    ("LangSmith key", "lsv2_pt_$H32_$H10"),
    ("Cloudflare token by name", "CLOUDFLARE_API_TOKEN=$W40"),
    ("Cloudflare origin key", "v1.0-#H24-$H146"),
    ("Doppler token", "dp.pt.$A43"),
    ("Doppler service token", "dp.st.prd.$A43"),
    ("Doppler service account token", "dp.sa.$A43"),
    ("MongoDB Atlas secret", "mdb_sa_sk_$W40"),
    ("Confluent secret", "cflt$B60"),
    ("Supabase secret key", "sb_secret_$W22_$W8"),
    ("Postman key", "PMAK-$H24-$H34"),
    ("Pulumi token", "pul-$H40"),
    ("PlanetScale password", "pscale_pw_$W43"),
    ("Supabase token", "sbp_$H40"),
    ("Tailscale key", "tskey-auth-k#A11-$A32"),
    ("Figma token", "figd_$W40"),
    ("CircleCI token", "CCIPAT_#A22_$H40"),
    ("Buildkite token", "bkua_$H40"),
    (
        "RSA key",
        "-----BEGIN RSA PRIVATE KEY-----\n$B64\n$B64\n$B43=\n-----END RSA PRIVATE KEY-----",
    ),
    ("EC key", "-----BEGIN EC PRIVATE KEY-----\n$B64\n$B64\n-----END EC PRIVATE KEY-----"),
    (
        "OpenSSH key",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n$B70\n$B70\n-----END OPENSSH PRIVATE KEY-----",
    ),
    (
        "encrypted key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n$B64\n$B64\n-----END ENCRYPTED PRIVATE KEY-----",
    ),
    (
        "PGP key",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n$B64\n$B64\n=$B4\n-----END PGP PRIVATE KEY BLOCK-----",
    ),
    ("key in one line", "-----BEGIN PRIVATE KEY----- $B64 $B64 -----END PRIVATE KEY-----"),
    ("key cut off", "-----BEGIN PRIVATE KEY-----\n$B64\n$B64"),
    (
        "PuTTY key",
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n$B64\nPrivate-MAC: $H64",
    ),
    (
        "SSH2 key",
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n$B70\n$B70\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
    ),
    ("age key", "AGE-SECRET-KEY-1$U58"),
    ("URL with a password", "https://deploy:$P20@git.example.com/a.git"),
    ("PostgreSQL URL", "postgres://app:$A24@db.example:5432/orders?sslmode=require"),
    ("MongoDB URL", "mongodb+srv://app:$A24@cluster0.example.mongodb.net/"),
    ("Redis URL", "redis://:$A32@cache.example:6379/0"),
    ("SQL Server connection", "Server=tcp:db.example,1433;User ID=app;Password=$P20;Encrypt=True"),
    ("JDBC URL", "jdbc:mysql://db.example/orders?user=app&password=$A20&useSSL=true"),
    ("libpq words", "host=db.example user=app password=$A20 dbname=orders"),
    ("password in JSON", r#"{"user":"app","password":"$P20"}"#),
    ("environment of a container", r#"{"env":[{"name":"DB_PASSWORD","value":"$P20"}]}"#),
    ("arguments of a program", r#"{"args":["login","--client-secret","$A32"]}"#),
    ("password in YAML", "user: app\npassword: $P20\nhost: db"),
    ("password in XML", "<login><user>app</user><password>$A20</password></login>"),
    ("cookie", "Cookie: theme=dark; session=$W40"),
    ("webhook of Standard Webhooks by name", "signing_key=$B43="),
];

/// A random number generator for a test. Source: Steele, Lea and Flood, *Fast splittable pseudorandom number
/// generators* (2014).
#[derive(Clone, Debug)]
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("it is below a size")
    }
}

/// The letters of a class.
fn letters(class: u8) -> &'static [u8] {
    match class {
        b'A' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        b'B' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        b'W' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
        b'P' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*~^.+",
        b'U' => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        b'L' => b"abcdefghijklmnopqrstuvwxyz0123456789",
        b'H' => b"0123456789abcdef",
        b'D' => b"0123456789",
        other => unreachable!("no class {}", char::from(other)),
    }
}

impl Secret {
    /// The secret of this number: its format is one after the other.
    pub(crate) fn of(number: u64, draw: &mut Draw) -> Self {
        let at = usize::try_from(number % FORMATS.len() as u64).expect("it is below a length");
        let (format, template) = FORMATS[at];
        let (mut text, mut is_hidden) = (String::new(), Vec::new());
        let mut rest = template.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            let is_class = |class: &u8| b"ABWPULHD".contains(class);
            match (byte, after) {
                (b'$' | b'#', [class, more @ ..]) if is_class(class) => {
                    let digits = more.iter().take_while(|digit| digit.is_ascii_digit()).count();
                    let length: usize =
                        std::str::from_utf8(&more[..digits]).unwrap().parse().unwrap();
                    let letters = letters(*class);
                    for _ in 0..length {
                        text.push(char::from(letters[draw.below(letters.len())]));
                    }
                    is_hidden.resize(text.len(), *byte == b'$');
                    rest = &more[digits..];
                    rest = rest.strip_prefix(b"`").unwrap_or(rest);
                }
                _ => {
                    text.push(char::from(*byte));
                    is_hidden.push(false);
                }
            }
        }
        Self { format, text, is_hidden }
    }
}
