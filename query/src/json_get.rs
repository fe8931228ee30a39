//! [`JsonGet`]: the SQL function `json_get(text, step, …)`, a value out of a text that holds JSON.
//!
//! Invariant: total. A text that is not JSON, a step that leads nowhere and a JSON null are NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use serde_json::Value;

/// `json_get(text, step, …)`: each step is a key of an object or a position in a list, from 0. A text
/// is answered without its quotes, anything else as JSON.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct JsonGet {
    signature: Signature,
}

impl JsonGet {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

enum Step {
    Key(String),
    Index(usize),
}

impl ScalarUDFImpl for JsonGet {
    fn name(&self) -> &'static str {
        "json_get"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType, DataFusionError> {
        let is_text = |one: &DataType| {
            matches!(
                one,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
            )
        };
        if types.len() < 2 || !is_text(&types[0]) {
            return plan_err!("json_get wants a text and one or more keys or positions");
        }
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let steps = args.args[1..].iter().map(step).collect::<Result<Vec<_>, _>>()?;
        let is_scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let texts = cast(&args.args[0].to_array(args.number_rows)?, &DataType::Utf8)?;
        let texts: &StringArray = texts.as_string();
        let mut found = StringBuilder::with_capacity(texts.len(), texts.len() * 16);
        for text in texts {
            found.append_option(text.and_then(|text| get(text, &steps)));
        }
        let found: ArrayRef = Arc::new(found.finish());
        if is_scalar && !found.is_empty() {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?));
        }
        Ok(ColumnarValue::Array(found))
    }
}

fn step(value: &ColumnarValue) -> Result<Step, DataFusionError> {
    let ColumnarValue::Scalar(scalar) = value else {
        return plan_err!("json_get wants keys and positions that are constants");
    };
    if let Some(Some(key)) = scalar.try_as_str() {
        return Ok(Step::Key(key.to_owned()));
    }
    if let ScalarValue::UInt64(Some(index)) = scalar.cast_to(&DataType::UInt64)? {
        return Ok(Step::Index(usize::try_from(index).unwrap_or(usize::MAX)));
    }
    plan_err!("json_get wants keys that are texts and positions that are numbers")
}

fn get(text: &str, steps: &[Step]) -> Option<String> {
    let mut value: &Value = &serde_json::from_str(text).ok()?;
    for step in steps {
        value = match step {
            Step::Key(key) => value.get(key)?,
            Step::Index(index) => value.get(index)?,
        };
    }
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(value.to_string())
        }
    }
}
