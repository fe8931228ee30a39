//! An answer in each format.

use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;
use query::{Destination, Engine, Format, Screen, write_answer};

use crate::fixture;

const TERMINAL: Destination = Destination::Terminal { width: 80 };

async fn written(engine: &Engine, sql: &str, format: Format, destination: Destination) -> Vec<u8> {
    let mut out = Vec::new();
    let mut answer = engine.sql(sql).await.unwrap();
    write_answer(&mut answer, format, destination, &mut out).await.unwrap();
    out
}

async fn text(sql: &str, format: Format, destination: Destination) -> String {
    String::from_utf8(written(&fixture::engine().await, sql, format, destination).await).unwrap()
}

const MIXED: &str = "SELECT event_id, time, amount, trace_confidence AS share, kafka_offset AS n, delegation, attributes, \
    amount IS NULL AS free, currency FROM events WHERE event_id IN ('e6', 'e7') ORDER BY event_id";

#[tokio::test]
async fn json_keeps_every_digit_and_one_row_a_line() {
    let json = text(MIXED, Format::Json, Destination::File).await;

    assert_eq!(
        json,
        r#"[
{"event_id":"e6","time":"2026-03-03T08:00:00.000000Z","amount":null,"share":0.0,"n":5,"delegation":[],"attributes":{"cost_center":"4400"},"free":true,"currency":null},
{"event_id":"e7","time":"2026-03-03T09:00:00.000000Z","amount":"10.00","share":0.6,"n":6,"delegation":["procurement-3"],"attributes":{"cost_center":"4400"},"free":false,"currency":"USD"}
]
"#
    );
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
    assert_eq!(text("SELECT 1 AS a WHERE false", Format::Json, Destination::File).await, "[]\n");
    assert_eq!(
        text("VALUES (1), (2)", Format::JsonLines, Destination::File).await,
        "{\"column1\":1}\n{\"column1\":2}\n"
    );
}

#[tokio::test]
async fn csv_follows_rfc_4180() {
    let csv = text(MIXED, Format::Csv, Destination::File).await;
    assert_eq!(
        csv,
        "event_id,time,amount,share,n,delegation,attributes,free,currency\r\n\
         e6,2026-03-03T08:00:00.000000Z,,0.0,5,[],\"{\"\"cost_center\"\":\"\"4400\"\"}\",true,\r\n\
         e7,2026-03-03T09:00:00.000000Z,10.00,0.6,6,\"[\"\"procurement-3\"\"]\",\"{\"\"cost_center\"\":\"\"4400\"\"}\",false,USD\r\n"
    );

    let odd = text(
        "SELECT 'a,b' AS \"x,y\", 'say \"hi\"' AS q, '' AS e, NULL AS n",
        Format::Csv,
        Destination::File,
    )
    .await;
    assert_eq!(odd, "\"x,y\",q,e,n\r\n\"a,b\",\"say \"\"hi\"\"\",\"\",\r\n");
}

#[tokio::test]
async fn csv_holds_no_formula() {
    let sql = "SELECT '=HYPERLINK(\"x\")' AS a, '+1' AS b, '-1' AS c, '@x' AS d, chr(9) || 'x' AS e, chr(13) || 'x' AS f, \
        -5 AS g, -1.50 AS h, 'a=b' AS \"=i\"";

    let csv = text(sql, Format::Csv, Destination::File).await;

    let (header, row) = csv.split_once("\r\n").unwrap();
    assert_eq!(header, "a,b,c,d,e,f,g,h,'=i");
    assert_eq!(row, "\"'=HYPERLINK(\"\"x\"\")\",'+1,'-1,'@x,'\tx,\"'\rx\",-5,-1.5,a=b\r\n");
}

#[tokio::test]
async fn a_table_aligns_numbers_and_counts_rows() {
    let table = text(
        "SELECT event_id, amount, currency FROM events WHERE amount > 1500 ORDER BY 1",
        Format::Table,
        TERMINAL,
    )
    .await;

    assert_eq!(
        table,
        "| event_id |   amount | currency |\n\
         |----------|----------|----------|\n\
         | e2       |  2000.00 | EUR      |\n\
         | e3       | 49800.00 | EUR      |\n\
         (2 rows)\n"
    );
    let none = text("SELECT event_id FROM events WHERE false", Format::Table, TERMINAL).await;
    assert_eq!(none, "| event_id |\n|----------|\n(0 rows)\n");
}

#[tokio::test]
async fn no_line_of_a_table_is_wider_than_the_terminal() {
    let sql = "SELECT repeat('日本語', 40) AS a, repeat('x', 200) AS b, 123456789 AS n UNION ALL SELECT 'é', 'y', 1 ORDER BY n DESC";
    let grid = text(sql, Format::Table, TERMINAL).await;
    let records = text("SELECT * FROM events WHERE event_id = 'e3'", Format::Table, TERMINAL).await;
    let whole = text(sql, Format::Table, Destination::File).await;

    for line in grid.lines().chain(records.lines()) {
        assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{line}");
    }
    assert!(
        grid.contains("本…") && grid.contains("123456789") && !grid.contains("-- row"),
        "{grid}"
    );
    assert!(records.starts_with("-- row 1\nevent_id"), "{records}");
    assert!(whole.contains(&"x".repeat(200)));
}

#[tokio::test]
async fn nothing_of_a_row_steers_the_terminal() {
    let sql = "SELECT chr(27) || '[2J' || chr(7) || chr(155) || chr(8238) || chr(8203) || chr(10) || chr(13) || chr(9) || chr(127) AS x";
    for format in [Format::Table, Format::Json, Format::JsonLines, Format::Csv] {
        let shown = text(sql, format, TERMINAL).await;
        let is_obeyed = |c: char| {
            (c.is_control() && c != '\n' && c != '\r') || ['\u{202E}', '\u{200B}'].contains(&c)
        };
        assert!(!shown.contains(is_obeyed), "{}: {shown:?}", format.as_str());
    }
    let json = text(sql, Format::JsonLines, TERMINAL).await;
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["x"], "\u{1b}[2J\u{7}\u{9b}\u{202E}\u{200B}\n\r\t\u{7f}");
}

#[tokio::test]
async fn parquet_and_arrow_are_read_back() {
    let engine = fixture::engine().await;
    let sql = "SELECT * FROM events ORDER BY event_id";
    let wanted = engine.sql(sql).await.unwrap().collect().await.unwrap();

    let arrow = written(&engine, sql, Format::Arrow, Destination::File).await;
    let parquet = written(&engine, sql, Format::Parquet, Destination::File).await;

    let read: Vec<_> =
        StreamReader::try_new(arrow.as_slice(), None).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, wanted);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("answer.parquet");
    std::fs::write(&path, parquet).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
        std::fs::File::open(path).unwrap(),
    );
    let read: Vec<_> = reader.unwrap().build().unwrap().map(Result::unwrap).collect();
    assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), 8);
    assert_eq!(read[0].column(0), wanted[0].column(0));
}

#[tokio::test]
async fn progress_counts_rows() {
    let engine = fixture::engine().await;
    let mut answer = engine.sql("SELECT * FROM events").await.unwrap();
    let watch = answer.watch();
    assert_eq!(watch.progress().rows, 0);

    while answer.next().await.unwrap().is_some() {}

    assert_eq!(watch.progress().rows, 8);
}

#[tokio::test]
async fn a_screen_writes_the_rows_and_counts_them() {
    let engine = fixture::engine().await;
    let screen =
        Screen { format: Format::Csv, destination: Destination::File, is_progress_shown: false };
    let mut out = Vec::new();

    let shown = screen
        .show(&engine, "SELECT event_id FROM events ORDER BY 1 LIMIT 2", &mut out)
        .await
        .unwrap();

    assert_eq!((shown.rows, shown.is_stopped), (2, false));
    assert_eq!(out, b"event_id\r\ne1\r\ne2\r\n");
    assert!(screen.show(&engine, "SELECT nothing", &mut out).await.is_err());
}
